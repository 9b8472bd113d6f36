"""Tools that ask a web server."""
