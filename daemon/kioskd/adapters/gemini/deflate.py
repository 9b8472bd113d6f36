"""WebSocket compression for small messages only; large ones carry pictures, which are compressed already."""

from collections.abc import Sequence
from typing import Final

from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, PerMessageDeflate
from websockets.frames import Frame
from websockets.typing import ExtensionParameter

_LARGEST_BYTES: Final = 16 * 2**10
"""Size of a message with about fifteen frames of audio."""


class SmallMessageDeflate(PerMessageDeflate):
    """permessage-deflate that leaves large messages uncompressed, as RFC 7692 allows.

    Compressing a JPEG of 60 kB blocks the event loop for 2 to 4 ms on a desk (Pi: 20 ms). It would only
    save the quarter that base64 adds.
    """

    def encode(self, frame: Frame) -> Frame:
        """Compress one outgoing frame, unless it is large."""
        return frame if len(frame.data) > _LARGEST_BYTES else super().encode(frame)


class SmallMessageDeflateFactory(ClientPerMessageDeflateFactory):
    """Offers the extension to the service, with the same memory settings as `websockets` itself."""

    def __init__(self) -> None:
        super().__init__(client_max_window_bits=True, compress_settings={"memLevel": 5})

    def process_response_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> PerMessageDeflate:
        """Return the extension with the parameters that both sides agreed on."""
        agreed = super().process_response_params(params, accepted_extensions)
        return SmallMessageDeflate(
            agreed.remote_no_context_takeover,
            agreed.local_no_context_takeover,
            agreed.remote_max_window_bits,
            agreed.local_max_window_bits,
            agreed.compress_settings,
        )
