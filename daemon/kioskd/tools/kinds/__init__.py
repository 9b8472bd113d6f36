"""The kinds of tools: a folder each, with its settings, what others need to know of it, and the tool."""
