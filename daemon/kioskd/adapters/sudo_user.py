"""Who had root do something by sudo, and acting as that user: what they may not write, root does not write for them."""

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping


def asker(environ: Mapping[str, str]) -> pwd.struct_passwd | None:
    """Return the user who has called sudo; None where this process is not root's, or root's own."""
    if os.geteuid() != 0:
        return None
    try:
        uid = int(environ.get("SUDO_UID", ""))
        return pwd.getpwuid(uid) if uid else None
    except (ValueError, KeyError, OverflowError):
        return None


@contextlib.contextmanager
def as_asker(environ: Mapping[str, str]) -> Iterator[None]:
    """Have this process be the user who has called sudo, for the block; without sudo it stays as it is.

    No other thread may need root meanwhile: the user is the whole process's.
    """
    user = asker(environ)
    if user is None:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
        os.setegid(user.pw_gid)
        os.seteuid(user.pw_uid)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)
