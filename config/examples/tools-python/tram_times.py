"""The next trams of a line. A tool in Python is a function that takes the arguments of a call."""

import datetime
from collections.abc import Mapping

MINUTES = {"1": (4, 24, 44), "6": (11, 41)}
"""Lines, with the minutes of each hour at which their trams leave."""


def next_trams(arguments: Mapping[str, object]) -> list[str]:
    """Return the next three departures of `line`. An empty list tells the model that there are none.

    The kiosk runs this function in a thread, so it is allowed to block. An `async def` must not block: it
    runs in the daemon's own loop.
    """
    now = datetime.datetime.now().astimezone()
    hours = [now.replace(minute=0, second=0, microsecond=0) + datetime.timedelta(hours=n) for n in range(4)]
    leaves = [
        hour.replace(minute=minute) for hour in hours for minute in MINUTES.get(str(arguments["line"]), ())
    ]
    return [f"{when:%H:%M}" for when in leaves if when > now][:3]
