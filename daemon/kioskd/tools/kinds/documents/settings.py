"""Settings of a tool that searches the owner's documents."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationInfo, field_validator

from kioskd.tools.guard import DescribedSettings
from kioskd.tools.template import FIELD
from kioskd.yamlconf.value_types import PathOnDisk, Range, said, shown

QUESTION: Final = "question"
"""The argument of a call."""
PARAMETERS: Final[Mapping[str, object]] = {
    "type": "object",
    "properties": {
        QUESTION: {
            "type": "string",
            "minLength": 1,
            "maxLength": 500,
            "description": "What to look for: the important words, in the language of the documents.",
        }
    },
    "required": [QUESTION],
}


class DocumentsSettings(DescribedSettings):
    """A tool that searches a folder of documents on this machine."""

    kind: Literal["documents"]
    """Kind of this tool: it searches your documents."""
    folder: Annotated[PathOnDisk, Field(examples=["documents"])]
    """Folder with the documents, and with folders of them: PDF, Word (.docx), HTML, Markdown (.md) and text
    (.txt). Hidden files, links and other files are left out."""
    passages: Annotated[int, Range(1, 20, "the model reads all of them, and they are billed")] = 5
    """Most passages of an answer. A passage has 100 to 200 words."""
    refresh_s: Annotated[float, Range(5, 86_400, "each look reads the names of all files")] = 60.0
    """Seconds between looks for new, changed and removed files. A look that finds none writes nothing."""
    file_mb: Annotated[int, Range(1, 500, "the file is held in memory while it is read")] = 50
    """Megabytes of the largest file to read. A larger one is left out, with a line in the journal."""
    file_s: Annotated[int, Range(1, 3600, "a malicious file could take for ever")] = 300
    """Seconds of processor time to read one file. A file that takes longer is left out, with a line in the
    journal."""
    index_mb: Annotated[int, Range(1, 4096, "it fills the card")] = 200
    """Megabytes of the index in the daemon's cache. A document that does not fit is left out, with a line in
    the journal."""

    @field_validator("folder")
    @classmethod
    def _with_a_question_that_can_be_asked(cls, value: Path, info: ValidationInfo) -> Path:
        for name in FIELD.findall(info.data.get("confirm_text") or ""):
            if name != QUESTION:
                raise said(f"is fine, but confirm_text names {shown(name)}; write {{{QUESTION}}} there")
        return value
