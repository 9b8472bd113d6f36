"""Compression of what is small, as a WebSocket extension: a picture is compressed by itself, and large."""

from collections.abc import Sequence
from typing import Final

from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame
from websockets.typing import ExtensionParameter

_LARGEST_BYTES: Final = 16 * 2**10
"""Some fifteen frames of audio in one message."""


class SmallMessageDeflate(PerMessageDeflate):
    """permessage-deflate that leaves large messages as they are, which RFC 7692 allows.

    A JPEG of 60 kB takes 2 to 4 ms of the event loop's thread to compress on a desk, and 20 on a Pi, for the quarter
    that base64 has added.
    """

    def encode(self, frame: Frame) -> Frame:
        """Compress one frame that goes out, if that is worth it."""
        return frame if len(frame.data) > _LARGEST_BYTES else super().encode(frame)


class SmallMessageDeflateFactory(ClientPerMessageDeflateFactory):
    """Asks the service for it, with the memory that `websockets` itself asks for."""

    def __init__(self) -> None:
        super().__init__(client_max_window_bits=True, compress_settings={"memLevel": 5})

    def process_response_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> PerMessageDeflate:
        """Return the extension that was agreed on."""
        agreed = super().process_response_params(params, accepted_extensions)
        return SmallMessageDeflate(
            agreed.remote_no_context_takeover,
            agreed.local_no_context_takeover,
            agreed.remote_max_window_bits,
            agreed.local_max_window_bits,
            agreed.compress_settings,
        )
