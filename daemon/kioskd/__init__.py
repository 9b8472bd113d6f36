"""kioskd: a kiosk or smart speaker on a Raspberry Pi that talks through the Gemini Live API."""

__version__ = "0.1.0"
