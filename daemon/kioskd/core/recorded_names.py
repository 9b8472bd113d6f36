"""The names under which events and effects are recorded: in the journal's `cause` field and in a rehearsal's events.jsonl.

A recorded name is a promise to whoever reads old records, so it stays when a class gets a better name.
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
    """Return the name under which events or effects of this class are recorded."""
    return _RECORDED.get(kind, kind.__name__)
