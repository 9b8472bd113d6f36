"""A simulator of the Live service on loopback: it follows a script, and the rules of the real service."""

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
