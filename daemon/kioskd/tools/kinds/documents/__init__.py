"""Tools that search the owner's documents."""
