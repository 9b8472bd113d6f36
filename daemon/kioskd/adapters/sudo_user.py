"""The user who called sudo. Acting as that user keeps root from writing files for them."""

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping


def asker(environ: Mapping[str, str]) -> pwd.struct_passwd | None:
    """Return the user who called sudo; None if this process is not root, or was not started by sudo."""
    if os.geteuid() != 0:
        return None
    try:
        uid = int(environ.get("SUDO_UID", ""))
        return pwd.getpwuid(uid) if uid else None
    except (ValueError, KeyError, OverflowError):
        return None


@contextlib.contextmanager
def as_asker(environ: Mapping[str, str]) -> Iterator[None]:
    """Run the block as the user who called sudo; without sudo, change nothing.

    No other thread may need root meanwhile, as the whole process changes its user.
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
