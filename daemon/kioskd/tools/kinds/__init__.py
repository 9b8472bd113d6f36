"""The kinds of tools, a folder each.

`settings.py` is what an owner can set, `tool.py` carries calls out, and `kind.py` says what the rest of kioskd needs to
know. A new kind is such a folder, a line in `kioskd.tools.registry`, and its tests; an extra of its own stands in
`pyproject.toml`.
"""
