"""What an owner can set of a tool that publishes to an MQTT broker."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints, ValidationInfo, field_validator

from kioskd.tools.guard import NamedSettings
from kioskd.tools.kinds.value_types import (
    AnswerForm,
    CaFile,
    Credential,
    Insecure,
    address,
    fits,
    no_credential,
)
from kioskd.tools.template import FIELD
from kioskd.yamlconf.value_types import Name, OwnerText, UnusedAt, said, shown


def _broker(text: str) -> str:
    url = address(text, ("mqtt", "mqtts"))
    if url.path.strip("/") or url.query:
        raise said("holds more than host and port: a topic has a setting of its own; take it out")
    return text


def _sends_all(payload: str, info: ValidationInfo) -> str:
    """Refuse a payload that leaves out a parameter which the topic does not name either: it would reach nobody."""
    parameters, topic = info.data.get("parameters"), info.data.get("topic")
    if parameters is None or topic is None:  # they have faults of their own
        return payload
    named = {*FIELD.findall(topic), *FIELD.findall(payload)}
    for name in parameters["properties"]:
        if name not in named:
            raise said(
                f"leaves out {shown(name)}, which the topic does not name either: it would be asked for and dropped; "
                "name it here, or take it out of parameters"
            )
    return payload


BrokerAddress = Annotated[str, AfterValidator(_broker)]
"""mqtt://HOST or mqtts://HOST, with a port or without."""


class MqttSettings(NamedSettings):
    """A tool that publishes to a broker, and may wait for a reply."""

    kind: Literal["mqtt"]
    """Speaks to an MQTT broker."""
    broker: BrokerAddress
    """mqtt://HOST or mqtt://HOST:PORT; mqtts:// for TLS. MQTT 5, or 3.1.1 where the broker speaks no 5; `reply` needs 5."""
    topic: Annotated[OwnerText, StringConstraints(max_length=1000)]
    """Topic to publish to; {parameter} stands for that argument, which cannot hold / + or #."""
    payload: (
        Annotated[
            str,
            StringConstraints(max_length=4096),
            AfterValidator(no_credential),
            AfterValidator(fits),
            AfterValidator(_sends_all),
        ]
        | None
    ) = None
    """What to publish, with {parameter} in it; in a payload that is JSON a value is escaped, and written as JSON where
    no quotes are round it. Without it: the arguments that the topic does not name, as JSON."""
    qos: Literal[0, 1, 2] = 1
    """1: the broker confirms it, so `ok` means something."""
    retain: bool = False
    """Whether the broker keeps it for those who come later."""
    reply: bool = False
    """Whether to wait for the reply (MQTT 5 response topic and correlation data) and give it to the model."""
    answer: Annotated[
        AnswerForm, UnusedAt("reply", False, "no reply is waited for; set reply to true, or take it out")
    ] = "json"
    """What the reply is: json, text, or none; with `reply`."""
    username: Annotated[Name, AfterValidator(no_credential)] | None = None
    """User of the broker."""
    password_from: Annotated[
        Credential | None, UnusedAt("username", None, "a password is a user's; add username, or take it out")
    ] = None
    """credential:NAME of the user's password."""
    ca_file: CaFile | None = None
    """Certificates (PEM) to trust in place of the public ones, with mqtts."""
    insecure: Insecure = False
    """true: send the password without encryption beyond this machine, where others can read it."""

    @field_validator("topic")
    @classmethod
    def _to_publish(cls, value: str, info: ValidationInfo) -> str:
        if re.search(r"[+#\x00-\x1f]", value) or value.startswith("$"):
            raise said(
                "is no topic to publish to: + # and a $ at its beginning are the broker's; name one topic"
            )
        return fits(no_credential(value), info)

    @field_validator("reply")
    @classmethod
    def _to_one_who_asks_now(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("retain"):
            raise said(
                "does not go with retain: who comes later would reply to nobody; take out one of the two"
            )
        return value
