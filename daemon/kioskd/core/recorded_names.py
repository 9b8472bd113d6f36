"""Gives events and effects the names that the journal's `cause` field and a rehearsal's events.jsonl record.

People compare old records with new ones, so a recorded name stays when its class gets a better name.
"""

from collections.abc import Mapping
from typing import Final

from kioskd.core import effects, events

_RECORDED: Final[Mapping[type, str]] = {
    events.ConfirmationRequested: "ConfirmWanted",
    events.ConnectionLost: "Lost",
    events.ConnectionUp: "Up",
    events.EndRequested: "EndWanted",
    events.MicrophoneSilent: "Deaf",
    events.MuteRequested: "MuteAsked",
    events.ReplySilenced: "Hushed",
    events.SettingsRefused: "FileRefused",
    events.SleepRequested: "SleepAsked",
    events.SnapshotRequested: "LookAsked",
    events.StorageFailed: "Unkept",
    events.TextSubmitted: "Asked",
    effects.AskConfirmation: "Ask",
    effects.ForgetHandle: "Forget",
    effects.KeepHandle: "Keep",
    effects.SetCamera: "SetEyes",
    effects.ShowStatus: "Show",
    effects.StopPrompt: "HushPrompt",
    effects.TakeSnapshot: "Look",
}


def recorded_name(kind: type) -> str:
    """Return the recorded name of a class of events or effects."""
    return _RECORDED.get(kind, kind.__name__)
