"""Packages in the form in which pip installs them, made without pip."""

import tomllib
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "config" / "examples" / "tools-python"
"""The example of a package with a tool, as shipped."""


def install(project: Path, site: Path) -> None:
    """Copy the modules and entry points of `project` into `site`, a folder for imports."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for module in project.glob("*.py"):
        (site / module.name).write_bytes(module.read_bytes())
    info = site / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n", encoding="utf-8"
    )
    lines = [
        line
        for group, points in about["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
