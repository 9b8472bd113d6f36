"""Declaration of the kind `documents`, tools that search the owner's documents, for the rest of kioskd."""

import os
from collections.abc import Iterator
from typing import Final

from kioskd.tools.contract import ToolSource
from kioskd.tools.kinds.documents.settings import DocumentsSettings
from kioskd.tools.tool_kind import BuildContext, ToolKind
from kioskd.yamlconf.document import ValuePath


def _build(tool: DocumentsSettings, context: BuildContext) -> ToolSource:
    from kioskd.tools.kinds.documents.tool import DocumentsTool  # noqa: PLC0415 - only if used

    return DocumentsTool(tool, context)


def _faults(tool: DocumentsSettings) -> Iterator[tuple[ValuePath, str]]:
    try:
        os.scandir(tool.folder).close()
    except OSError as err:
        what = f"cannot be read: {err.strerror}"
        yield ("folder",), f"{what}; make the folder, or correct the path or the folder's permissions"


DOCUMENTS: Final = ToolKind(
    name="documents",
    settings=DocumentsSettings,
    build=_build,
    package="pypdfium2",
    faults=_faults,
    start_s=lambda _tool: 600.0,
    sends=lambda tool: f"at most {tool.passages} passages of your documents, with the names of their files",
    keeps=lambda tool: (
        f"the text of the documents in {tool.folder}",
        "/var/cache/kioskd (readable only by the daemon)",
        "until the document is removed from the folder",
    ),
)
