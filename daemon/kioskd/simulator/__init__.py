"""The simulator of the Live service: on loopback, by a script, with the real service's rules."""

from kioskd.simulator.records import ConnectionRecord, ReceivedPicture, SessionRecord, VisitorTurn
from kioskd.simulator.script import FaultAction, Reply, ScriptedCall, ScriptedFault, ServiceScript
from kioskd.simulator.server import Simulator

__all__ = [
    "ConnectionRecord",
    "FaultAction",
    "ReceivedPicture",
    "Reply",
    "ScriptedCall",
    "ScriptedFault",
    "ServiceScript",
    "SessionRecord",
    "Simulator",
    "VisitorTurn",
]
