"""The speaker's volume: set by people, within speaker.volume_floor and volume_ceiling."""

from kioskd.flow.storage.preferences import PreferenceKeeper
from kioskd.media.playout import Playout


class Volume:
    """The volume of all sound that is played."""

    def __init__(self, preferences: PreferenceKeeper, playout: Playout) -> None:
        """Set the speaker to the volume of `preferences`."""
        self._preferences = preferences
        self._playout = playout
        playout.volume = preferences.volume

    @property
    def percent(self) -> int:
        return self._playout.volume

    def set_volume(self, percent: int) -> int:
        """Set the volume within the owner's bounds. Return the volume that is set."""
        self._preferences.volume = percent
        self._playout.volume = self._preferences.volume
        return self._playout.volume

    def use_default(self, percent: int) -> None:
        """Use the owner's new volume, unless people have set another by hand."""
        self._preferences.use_default(percent)
        self._playout.volume = self._preferences.volume
