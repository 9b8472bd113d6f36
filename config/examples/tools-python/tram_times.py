"""When the next trams leave: a function of the arguments, which is all that a tool in Python needs to be."""

import datetime
from collections.abc import Mapping

MINUTES = {"1": (4, 24, 44), "6": (11, 41)}
"""Line, and the minutes of each hour in which it leaves."""


def next_trams(arguments: Mapping[str, object]) -> list[str]:
    """Return the next three departures of `line`; an empty list says that nothing was found.

    It runs in a thread, so it may take its time. An `async def` runs in the daemon's loop, and must not.
    """
    now = datetime.datetime.now().astimezone()
    hours = [now.replace(minute=0, second=0, microsecond=0) + datetime.timedelta(hours=n) for n in range(4)]
    leaves = [
        hour.replace(minute=minute) for hour in hours for minute in MINUTES.get(str(arguments["line"]), ())
    ]
    return [f"{when:%H:%M}" for when in leaves if when > now][:3]
