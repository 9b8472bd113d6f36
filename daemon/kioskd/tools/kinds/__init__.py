"""The kinds of tools, one folder for each.

In each folder `settings.py` holds the owner's settings, and `tool.py` carries out calls. `kind.py` is the
interface to the rest of kioskd. To add a kind, add its folder, a line in `kioskd.tools.registry`, and tests.
If it needs a package of its own, add an extra to `pyproject.toml`.
"""
