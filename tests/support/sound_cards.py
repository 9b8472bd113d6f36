"""A tree of files like the kernel's list of sound cards in /sys/class/sound."""

import shutil
from pathlib import Path


def plug(sysfs: Path, number: int, card_id: str, *pcms: str) -> None:
    """Plug a card in, in place of any with that number. `pcms`: `0c` (capture), `0p` (playback), ..."""
    # Created before the old card is removed, as the file would otherwise get the same inode number.
    new = sysfs / "new"
    new.mkdir(parents=True)
    (new / "id").write_text(f"{card_id}\n")
    pull(sysfs, number)
    new.rename(sysfs / f"card{number}")
    for pcm in pcms:
        (sysfs / f"pcmC{number}D{pcm}").mkdir()


def pull(sysfs: Path, number: int) -> None:
    """Unplug a card, if it is there."""
    for folder in (*sysfs.glob(f"card{number}"), *sysfs.glob(f"pcmC{number}D*")):
        shutil.rmtree(folder)


def hold(root: Path, number: int, pcm: str, pid: int, program: str) -> None:
    """Let a program of this name use a device of a card, as /proc shows it."""
    status = root / f"proc/asound/card{number}/pcm{pcm}/sub0/status"
    status.parent.mkdir(parents=True)
    status.write_text(f"state: RUNNING\nowner_pid   : {pid}\n")
    (root / f"proc/{pid}").mkdir(parents=True)
    (root / f"proc/{pid}/comm").write_text(f"{program}\n")
