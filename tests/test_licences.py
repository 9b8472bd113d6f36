"""scripts/licences: each wheel's licence is named, and one that does not fit stops a package."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

SCRIPT: Final = Path(__file__).parents[1] / "scripts" / "licences"


def listed(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, folder], capture_output=True, text=True, timeout=60, check=False
    )


def wheel(folder: Path, *lines: str) -> str:
    """Write a wheel with these lines of metadata, and return its name."""
    path = folder / "bell-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bell-1.0.dist-info/METADATA", "\n".join(("Metadata-Version: 2.4", *lines, "")))
    return path.name


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: MIT"], "MIT"),
        (["License-Expression: Apache-2.0 OR GPL-3.0-only"], "Apache-2.0 or GPL-3.0-only"),
        (["License-Expression: BSD-3-Clause AND (MIT OR 0BSD)"], "BSD-3-Clause and MIT or 0BSD"),
        (["License: MIT"], "MIT"),
        (["License: Apache 2.0"], "Apache-2.0"),
        (["Classifier: License :: OSI Approved :: BSD License"], "BSD"),
        (
            ["License: Copyright (c) 1999 A Person", "Classifier: License :: OSI Approved :: BSD License"],
            "BSD",
        ),
    ],
)
def test_a_licence_that_fits_is_listed(tmp_path: Path, lines: list[str], licence: str) -> None:
    name = wheel(tmp_path, *lines)
    done = listed(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == [
        f"Files: usr/lib/kioskd/wheels/{name}",
        "Copyright: the authors of bell 1.0",
        f"License: {licence}",
    ]


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (["License-Expression: GPL-3.0-only"], "GPL-3.0-only"),
        (["License-Expression: MIT AND AGPL-3.0-only"], "MIT AND AGPL-3.0-only"),
        (["License: Proprietary"], "Proprietary"),
        ([], "none"),
    ],
)
def test_a_licence_that_does_not_fit_is_rejected(tmp_path: Path, lines: list[str], named: str) -> None:
    name = wheel(tmp_path, *lines)
    done = listed(tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f"{name}: its licence does not fit, or is unknown: {named}\n" in done.stderr
