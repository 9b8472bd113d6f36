"""The base of every part of the YAML."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the YAML. It takes no unknown names, converts no values, and cannot be changed.

    The text under each field is for people; see `field_docs`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )
