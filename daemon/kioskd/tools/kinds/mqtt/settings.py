"""Settings of a tool that publishes to an MQTT broker."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationInfo, field_validator

from kioskd.tools.guard import NamedSettings
from kioskd.tools.kinds.value_types import (
    AnswerForm,
    BrokerAddress,
    CaFile,
    Credential,
    Insecure,
    fits,
    no_credential,
)
from kioskd.tools.template import FIELD
from kioskd.yamlconf.value_types import Name, OwnerText, UnusedAt, said, shown


def _sends_all(payload: str, info: ValidationInfo) -> str:
    """Reject a payload without a parameter that the topic does not have either. Its argument would be
    lost."""
    parameters, topic = info.data.get("parameters"), info.data.get("topic")
    if parameters is None or topic is None:  # these have faults of their own
        return payload
    named = {*FIELD.findall(topic), *FIELD.findall(payload)}
    for name in parameters["properties"]:
        if name not in named:
            raise said(
                f"lacks {shown(name)}, and so does topic: its argument would be lost; "
                f"write {{{name}}} here, or remove it from parameters"
            )
    return payload


class MqttSettings(NamedSettings):
    """A tool that publishes to a broker, and can wait for a reply."""

    kind: Literal["mqtt"]
    """Kind of this tool: it publishes to an MQTT broker."""
    broker: Annotated[BrokerAddress, Field(examples=["mqtt://127.0.0.1:1883"])]
    """Address of the broker: mqtt://HOST or mqtt://HOST:PORT, or mqtts:// for TLS. The kiosk uses MQTT 5, or
    3.1.1 with an older broker. `reply` needs MQTT 5."""
    topic: Annotated[OwnerText, StringConstraints(max_length=1000), Field(examples=["gallery/{room}/light"])]
    """Topic to publish to. {parameter} is replaced by that argument of the call, which cannot hold / + or
    #."""
    payload: (
        Annotated[
            str,
            StringConstraints(max_length=4096),
            AfterValidator(no_credential),
            AfterValidator(fits),
            AfterValidator(_sends_all),
        ]
        | None
    ) = Field(default=None, examples=['{"on": {on}}'])
    """Message to publish. {parameter} is replaced by that argument of the call. In a message that is JSON,
    the argument is written as JSON, and escaped within quotes. If not set, the message is a JSON object with
    the arguments that `topic` does not name."""
    qos: Literal[0, 1, 2] = 1
    """Quality of service. With 1 or 2 the broker confirms the message, so that ok in the answer means
    delivery."""
    retain: bool = False
    """Whether the broker keeps the message for later subscribers."""
    reply: bool = False
    """Whether the kiosk waits for a reply (MQTT 5 response topic and correlation data), and gives it to the
    model. It excludes `retain: true`."""
    answer: Annotated[
        AnswerForm, UnusedAt("reply", False, "the kiosk waits for no reply; set reply to true, or remove it")
    ] = "json"
    """Form of the reply, only with `reply: true`. With none, its content is ignored."""
    username: Annotated[Name, AfterValidator(no_credential)] | None = Field(default=None, examples=["kiosk"])
    """User name at the broker."""
    password_from: Annotated[
        Credential | None,
        UnusedAt("username", None, "a password needs a user; add username, or remove it"),
    ] = Field(default=None, examples=["credential:mqtt"])
    """Reference to the password, as credential:NAME, only with `username`. NAME is a systemd credential of
    the service, or the path of a file."""
    ca_file: CaFile | None = Field(default=None, examples=["broker-ca.pem"])
    """File with certificates (PEM) to trust in place of the public ones, only for an mqtts:// `broker`."""
    insecure: Insecure = False
    """Whether the password is sent to another machine without encryption, so that others can read it."""

    @field_validator("topic")
    @classmethod
    def _to_publish(cls, value: str, info: ValidationInfo) -> str:
        if re.search(r"[+#\x00-\x1f]", value) or value.startswith("$"):
            raise said(
                "is not a topic to publish to, because it has + or #, or begins with $; write one topic"
            )
        return fits(no_credential(value), info)

    @field_validator("reply")
    @classmethod
    def _to_one_who_asks_now(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("retain"):
            raise said("excludes retain: a later subscriber would reply too late; remove one of the two")
        return value
