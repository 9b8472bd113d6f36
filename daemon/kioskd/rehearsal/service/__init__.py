"""The Live service's stand-in: what Google's service says and refuses, on loopback, by a script."""

from kioskd.rehearsal.service.records import ConnectionRecord, Picture, SessionRecord, Turn
from kioskd.rehearsal.service.script import Deed, Fault, Reply, ServiceScript, ToolCall
from kioskd.rehearsal.service.server import StandIn

__all__ = [
    "ConnectionRecord",
    "Deed",
    "Fault",
    "Picture",
    "Reply",
    "ServiceScript",
    "SessionRecord",
    "StandIn",
    "ToolCall",
    "Turn",
]
