"""What every part of the YAML has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the YAML: nothing unknown, nothing converted, nothing changed afterwards.

    What stands under a setting is for people, and for `field_docs`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )
