"""Tools that come with an installed package."""
