"""The tools of Model Context Protocol servers."""
