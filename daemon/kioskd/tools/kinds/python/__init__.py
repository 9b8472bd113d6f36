"""Tools that an installed package brings."""
