"""As root, scripts/install.sh uses nothing that other users can change. tests/box tests what it installs."""

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
STRANGER = 65534

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="it asks for root before all else"),
    pytest.mark.skipif(
        Path("/run/systemd/system").is_dir(), reason="it would install kioskd on this machine"
    ),
]

ENDS_HERE = "install: systemd does not run here"
"""Its last line on this machine, if it has accepted the checkout."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout as its owner has it, in a folder that every user may enter."""
    folder = tmp_path / "kioskd"
    folder.mkdir()
    for part in ("daemon/kioskd/settings", "scripts", "systemd"):
        shutil.copytree(CHECKOUT / part, folder / part)
    shutil.copytree(CHECKOUT / "config/prompts", folder / "config/prompts")
    shutil.copy(CHECKOUT / "pyproject.toml", folder)
    shutil.copy(CHECKOUT / "daemon/kioskd/__init__.py", folder / "daemon/kioskd")
    return folder


def installs(
    checkout: Path, *options: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> list[str]:
    """Run the installer up to the point where it needs systemd, and return the lines that it prints."""
    done = subprocess.run(
        [checkout / "scripts/install.sh", *options],
        capture_output=True, text=True, timeout=240, check=False, cwd=cwd,
        env={**os.environ, **(environ or {})},
    )  # fmt: skip
    assert done.returncode == 1
    return (done.stdout + done.stderr).splitlines()


def test_a_checkout_of_roots_own_is_taken(checkout: Path) -> None:
    [line] = installs(checkout)
    assert line.startswith(ENDS_HERE)


@pytest.mark.parametrize(
    "place", [".", "daemon", "daemon/kioskd/settings/load.py", "scripts/install.sh", "pyproject.toml"]
)
@pytest.mark.parametrize("how", ["mode", "group", "owner"])
def test_a_checkout_that_others_can_change_is_refused_in_one_line(
    checkout: Path, place: str, how: str
) -> None:
    path = (checkout / place).resolve()
    if how == "owner":
        os.chown(path, STRANGER, -1)
    elif how == "group":
        os.chown(path, -1, STRANGER)
        path.chmod(0o775)
    else:
        path.chmod(0o777)
    [line] = installs(checkout)
    who = {"mode": "every user", "group": "the group nogroup", "owner": "its owner (nobody)"}[how]
    assert f"{path}" in line
    assert who in line
    assert "root" in line


def test_a_folder_of_wheels_that_others_can_change_is_refused_and_so_is_a_missing_one(
    checkout: Path, tmp_path: Path
) -> None:
    wheels = tmp_path / "wheels"
    assert installs(checkout, "--wheels", str(wheels)) == [
        "install: --wheels: there is no such folder: fill one with scripts/wheels"
    ]
    wheels.mkdir()
    wheel = wheels / "numpy-1-py3-none-any.whl"
    wheel.touch()
    assert installs(checkout, f"--wheels={wheels}")[0].startswith(ENDS_HERE)
    wheel.chmod(0o666)
    [line] = installs(checkout, "--wheels", str(wheels))
    assert line.startswith(f"install: {wheel} can be changed by every user, and root would run it")
    assert line.endswith(f"chown -R root: '{wheels}'; chmod -R go-w '{wheels}'")


def test_a_folder_on_the_way_to_the_checkout_counts_too(checkout: Path) -> None:
    checkout.parent.chmod(0o777)
    [line] = installs(checkout)
    assert line.startswith(
        f"install: {checkout.parent}: every user can change its files, which root would run"
    )
    checkout.parent.chmod(0o1777)  # as /tmp: others cannot change root's files in it
    [line] = installs(checkout)
    assert line.startswith(ENDS_HERE)


def test_a_checkout_of_the_one_who_asked_by_sudo_is_taken_with_a_group_of_their_own(checkout: Path) -> None:
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, STRANGER, STRANGER)
    assert installs(checkout, environ={"SUDO_UID": str(STRANGER)})[0].startswith(ENDS_HERE)
    assert "its owner (nobody)" in installs(checkout)[0]
    assert "its owner (nobody)" in installs(checkout, environ={"SUDO_UID": "0 -o 1"})[0]


def test_a_group_that_only_the_one_who_asked_is_in_may_write_there(checkout: Path) -> None:
    user = pwd.getpwnam("www-data")
    for path in (checkout, *checkout.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
        path.chmod(path.stat().st_mode | 0o020)
    assert installs(checkout, environ={"SUDO_UID": str(user.pw_uid)})[0].startswith(ENDS_HERE)


@pytest.mark.parametrize("option", ["--rollback", "--uninstall", "--purge"])
def test_no_other_command_runs_from_a_checkout_that_others_can_change(checkout: Path, option: str) -> None:
    (checkout / "scripts").chmod(0o777)
    assert "can be changed by every user" in installs(checkout, option)[0]


def test_no_program_of_the_callers_runs(checkout: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    names = (
        "bash",
        "id",
        "dirname",
        "stat",
        "find",
        "python3",
        "readlink",
        "getent",
        "env",
        "venv.py",
        "pip.py",
    )
    for name in names:
        (evil / name).write_text(f"#!/bin/sh\ntouch {evil}/ran\n")
        (evil / name).chmod(0o755)
    environ = {
        "PATH": f"{evil}:{os.environ['PATH']}",
        "BASH_ENV": str(evil / "bash"),
        "ENV": str(evil / "bash"),
        "BASH_FUNC_id%%": f"() {{ touch {evil}/ran; }}",
        "CDPATH": str(evil),
        "IFS": "/",
        "PYTHONPATH": str(evil),
        "LC_ALL": "C",
    }
    [line] = installs(checkout, environ=environ, cwd=evil)
    assert line.startswith(ENDS_HERE)
    assert not (evil / "ran").exists()


def test_only_named_variables_of_the_environment_are_left(checkout: Path) -> None:
    script = checkout / "scripts/install.sh"
    text = script.read_text()
    assert text.count('  only_roots "$source" "$wheels"\n') == 1
    script.write_text(text.replace('  only_roots "$source" "$wheels"\n', "  /usr/bin/env; pwd; exit 1\n"))
    given = {
        *("PIP_INDEX_URL", "PIP_CONFIG_FILE", "PYTHONHOME", "LD_PRELOAD_", "GIT_DIR", "TMPDIR", "HOME"),
        *("http_proxy", "SSL_CERT_FILE", "SUDO_UID"),
    }
    *lines, folder = installs(checkout, environ=dict.fromkeys(given, "/nowhere"), cwd=checkout)
    left = dict(line.split("=", 1) for line in lines)
    assert set(left) - {"PWD", "SHLVL", "_", "OLDPWD"} <= {
        *("PATH", "HOME", "LC_ALL", "http_proxy", "SSL_CERT_FILE", "SUDO_UID"),
        *(
            "https_proxy",
            "no_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "REQUESTS_CA_BUNDLE",
            "SSL_CERT_DIR",
        ),
    }
    assert left["HOME"] == "/root"
    assert left["http_proxy"] == "/nowhere"
    assert folder == "/"


def does(checkout: Path, home: Path, lines: str) -> list[str]:
    """Run `lines` in place of the installer's last ones, with releases in `home`; return what it prints."""
    script = checkout / "scripts/install.sh"
    text = (CHECKOUT / "scripts/install.sh").read_text()
    script.write_text(
        text.replace('  only_roots "$source" "$wheels"\n', f"  {lines}; exit 1\n").replace(
            "=/opt/kioskd\n", f"={home}\n"
        )
    )
    return installs(checkout)


def test_an_upgrade_keeps_the_optional_parts_of_the_release_before(checkout: Path, tmp_path: Path) -> None:
    home = tmp_path / "opt"
    (home / "current").mkdir(parents=True)
    (home / "current/extras").write_text("echo,of-old-times\n")
    kept = does(checkout, home, 'wanted_extras "$source" "mqtt rehearsal"')
    assert kept == ["echo,mqtt,rehearsal", "install: of-old-times: there is no such optional part any more"]
    assert does(checkout, home, 'wanted_extras "$source" ""')[0] == "echo"
    assert does(checkout, home, 'wanted_extras "$source" "none,mqtt"') == ["mqtt"]


def test_an_upgrade_keeps_the_optional_parts_of_a_release_that_has_no_list_of_them(
    checkout: Path, tmp_path: Path
) -> None:
    home = tmp_path / "opt"
    site = home / "current/lib/python3.13/site-packages"
    for name in ("livekit-1.2.0", "pymicro_wakeword-2.5.0", "pydantic-2.14.3"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    assert does(checkout, home, 'wanted_extras "$source" mqtt') == ["echo,mqtt,wakeword"]
    assert does(checkout, home, 'wanted_extras "$source" none,mqtt') == ["mqtt"]
    (home / "current/extras").write_text("\n")
    assert does(checkout, home, 'wanted_extras "$source" mqtt') == ["mqtt"]


PYTHON = """\
#!/bin/sh
case "$*" in
  *"pip uninstall"*) touch {gone} ;;
  *"pip install"*) rm {gone} ;;
  *"pip check"*) cat {conflicts}; exit 1 ;;
  *) [ -e {gone} ] || {{ echo "numpy.core.multiarray failed to import" >&2; exit 1; }} ;;
esac
"""
"""A Python whose picamera2 works only while numpy is not among the release's own packages."""


@pytest.mark.parametrize(
    ("conflict", "ends"),
    [
        ("PyGObject 3.42.2 requires pycairo, which is not installed.", "numpy: this release uses Debian's"),
        (
            "livekit 1.2.1 has requirement numpy>=1.26, but you have numpy 1.24.2.",
            "picamera2 is installed, and",
        ),
    ],
)
def test_a_camera_for_debians_numpy_gets_it_unless_another_package_needs_a_newer_one(
    checkout: Path, tmp_path: Path, conflict: str, ends: str
) -> None:
    gone, conflicts, python = tmp_path / "gone", tmp_path / "conflicts", tmp_path / "release/bin/python"
    conflicts.write_text(f"{conflict}\n")
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON.format(gone=gone, conflicts=conflicts))
    python.chmod(0o755)
    machine = f"debian_packages() {{ :; }}; imports() {{ [ $2 = /usr/bin/python3 ] || [ -e {gone} ]; }}"
    [line] = does(checkout, tmp_path, f'{machine}; camera "$source" {tmp_path}/release /wheels watch')
    assert line.startswith(f"install: {ends}")
    assert gone.exists() is ("numpy: " in ends)


def test_two_releases_never_have_one_name(checkout: Path, tmp_path: Path) -> None:
    home = tmp_path / "opt"
    make = 'new_release "$source" ""'
    [first] = does(checkout, home, make)
    Path(first).rmdir()
    assert does(checkout, home, make) == [first], "the same release, tried once more"
    Path(first).rmdir()
    (checkout / "daemon/kioskd/settings/load.py").write_text("# another")
    [second] = does(checkout, home, make)
    assert (first[-2:], second[-2:]) == ("-1", "-2")
    [third] = does(checkout, home, make)
    assert third[-2:] == "-3"


def test_python_never_looks_into_the_folder_that_it_is_started_in() -> None:
    script = (CHECKOUT / "scripts/install.sh").read_text()
    runs = re.findall(r"(?:/python|/usr/bin/python3)\"? (-\S+)", script)
    assert len(runs) >= 8
    assert set(runs) == {"-I"}


def test_lock_and_log_lie_in_a_folder_of_root() -> None:
    script = (CHECKOUT / "scripts/install.sh").read_text()
    for name in ("lock", "log"):
        [path] = re.findall(rf"^readonly {name}=(\S+)$", script, re.MULTILINE)
        status = Path(path).parent.stat()
        assert (status.st_uid, status.st_mode & 0o022) == (0, 0)


def test_a_lamps_own_name_never_reaches_a_shell(tmp_path: Path) -> None:
    rule = (CHECKOUT / "systemd/kioskd.rules").read_text()
    [command] = re.findall(r"/bin/sh -c '(.*)'", rule)
    assert "%" not in command
    led = tmp_path / "devices/a led; touch * $(touch x)"
    led.mkdir(parents=True)
    (led / "brightness").touch()
    (led / "brightness").chmod(0o644)
    script = command.replace("$$", "$").replace("/sys", str(tmp_path)).replace("kioskd", "root")
    environ = {**os.environ, "DEVPATH": f"/devices/{led.name}"}
    subprocess.run(["/bin/sh", "-c", script], env=environ, check=True, cwd=tmp_path, capture_output=True)
    assert (led / "brightness").stat().st_mode & 0o777 == 0o664
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(["devices", led.name, "brightness"])
