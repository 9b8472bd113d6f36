"""The volume: what people have set by hand, within the owner's bounds, on the speaker that plays."""

from kioskd.flow.storage.preferences import PreferenceKeeper
from kioskd.media.playout import Playout


class Volume:
    """One volume for all that is played."""

    def __init__(self, preferences: PreferenceKeeper, playout: Playout) -> None:
        """Play as loudly as `preferences` say."""
        self._preferences = preferences
        self._playout = playout
        playout.volume = preferences.volume

    @property
    def percent(self) -> int:
        """The volume that is played, in percent."""
        return self._playout.volume

    def set_volume(self, percent: int) -> int:
        """Play as loudly as asked, as far as the owner allows it; return the volume that this has come to."""
        self._preferences.volume = percent
        self._playout.volume = self._preferences.volume
        return self._playout.volume

    def use_default(self, percent: int) -> None:
        """Go by the owner's new volume, unless people have set another by hand."""
        self._preferences.use_default(percent)
        self._playout.volume = self._preferences.volume
