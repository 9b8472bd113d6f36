"""The Live service's stand-in: what Google's service says and refuses, on loopback, by a script."""

from kioskd.simulator.records import ConnectionRecord, ReceivedPicture, SessionRecord, VisitorTurn
from kioskd.simulator.script import Deed, Reply, ScriptedCall, ScriptedFault, ServiceScript
from kioskd.simulator.server import Simulator

__all__ = [
    "ConnectionRecord",
    "Deed",
    "ReceivedPicture",
    "Reply",
    "ScriptedCall",
    "ScriptedFault",
    "ServiceScript",
    "SessionRecord",
    "Simulator",
    "VisitorTurn",
]
