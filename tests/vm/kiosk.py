"""A kiosk in a virtual machine: its visitor's hands, voice and ears, its plugs, and its service."""

import contextlib
import tempfile
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import SecretStr
from tests.box.site import Service
from tests.support.likeness import in_order
from tests.support.vm import PATIENCE_S, VirtualMachine

from kioskd import journal_ids
from kioskd.media import pcm
from kioskd.media.resample import Resampler
from kioskd.simulator import Reply, ServiceScript

SETTINGS: Final = "/etc/kioskd/kioskd.yaml"
CREDENTIAL: Final = "/etc/credstore.encrypted/gemini-api-key"
KEY: Final = "AIzaSyVirtualMachineVirtualMachine00000"
YAML: Final = """\
service: {endpoint: "https://127.0.0.1:8443", ca_file: ca.pem}
conversation: {wake: [button], idle_s: 300, longest_s: 3600, think_s: 120}
microphone: {device: "hw:CARD=Mic,DEV=1"}
speaker: {device: "hw:CARD=Spk,DEV=0", volume: 100, cues: []}
camera: {source: "v4l2:Front", when: request, lamp: "gpio:pi/24"}
controls:
  button: {source: "gpio:pi/17"}
  buttons: [{source: "evdev:Pedal/KEY_SPACE"}]
  lamp: {source: "gpio:pi/25"}
"""
"""Sound cards by their ALSA ids, as `kioskd devices` prints them."""

BUTTON, LAMP, CAMERA_LAMP = 17, 25, 24
_VOICE: Final = Path("/usr/share/sounds/alsa")
"""Recordings of Debian's alsa-utils. A person says two words in each file."""
_VISITOR: Final = ("Front_Center", "Rear_Left", "Side_Right", "Front_Left")
_MODEL: Final = (
    "Front_Left",
    "Side_Right",
    "Rear_Center",
    "Side_Left",
    "Rear_Right",
    "Front_Right",
    "Rear_Left",
)
"""A reply of some ten seconds, so that something can happen meanwhile."""
START_S: Final = 900.0
"""Seconds that the daemon may take to start. On an idle host it takes 30 s."""
_SILENCE_LSB: Final = 300
UNDERSTOOD: Final = 0.5
"""Share of neighbouring words that must arrive in order."""

Card = Literal["Mic", "Spk"]
_CARDS: Final[dict[Card, int]] = {"Mic": 0, "Spk": 1}
_ALOOP: Final = "/sys/bus/platform/drivers/snd_aloop"
_VIMC: Final = "/sys/bus/platform/drivers/vimc"


def _spoken(names: Sequence[str], rate_hz: int) -> list[bytes]:
    """Return these words as 16-bit samples of this rate, mono, without the silence around them."""
    said = []
    for name in names:
        with wave.open(str(_VOICE / f"{name}.wav")) as file:
            resampler = Resampler(file.getframerate(), rate_hz)
            samples = np.frombuffer(resampler.process(file.readframes(file.getnframes()), last=True), "<i2")
        loud = np.flatnonzero(np.abs(samples) > _SILENCE_LSB)
        said.append(samples[loud[0] : loud[-1]].tobytes())
    return said


def visitors_words() -> list[bytes]:
    """Return the visitor's speech, as the room plays it."""
    return _spoken(_VISITOR, pcm.UPLINK_HZ)


def models_words() -> list[bytes]:
    """Return the model's speech, as the kiosk gets it."""
    return _spoken(_MODEL, pcm.DOWNLINK_HZ)


@dataclass(frozen=True, slots=True)
class Kiosk:
    """All of it."""

    machine: VirtualMachine
    service: Service

    def press(self, seconds: float = 0.3, line: int = BUTTON) -> None:
        """Press the button and release it. A busy processor does not hold it down longer."""
        pull = f"/run/wires/{line}/pull"
        script = f"echo pull-down > {pull}; sleep {seconds}; echo pull-up > {pull}"
        self.machine.exec("chrt", "--rr", "50", "sh", "-c", script)

    def step(self) -> None:
        """Press the pedal and release it."""
        self.machine.exec("systemctl", "kill", "--signal=USR1", "pedal")

    def lit(self, line: int = LAMP) -> bool:
        """Whether a line is driven high."""
        return self.machine.read(f"/run/wires/{line}/value").strip() == "1"

    def lights(self, line: int = LAMP, *, lit: bool = True) -> None:
        """Wait until a line is driven high, or low."""
        until = time.monotonic() + PATIENCE_S
        while self.lit(line) is not lit:
            assert time.monotonic() < until, f"line {line} stays {'dark' if lit else 'lit'}"
            time.sleep(0.2)

    def speak(self) -> None:
        """Have the visitor say something."""
        self.machine.exec("systemctl", "kill", "--kill-whom=main", "--signal=USR1", "room")

    def unplug(self, card: Card) -> None:
        """Pull a card. The kernel waits for the daemon to close it, so this returns before it is gone."""
        self.machine.sh(f"nohup sh -c 'echo snd_aloop.{_CARDS[card]} > {_ALOOP}/unbind' >/dev/null 2>&1 &")

    def replug(self, card: Card) -> None:
        """Put a card back when the kernel has released it."""
        name = f"{_ALOOP}/snd_aloop.{_CARDS[card]}"
        self.machine.sh(
            f"until [ ! -e {name} ]; do sleep 0.2; done; echo snd_aloop.{_CARDS[card]} > {_ALOOP}/bind"
        )

    def unplug_chip(self) -> None:
        """Take the GPIO chip away."""
        self.machine.sh("echo 0 > /sys/kernel/config/gpio-sim/pi/live")

    def replug_chip(self) -> None:
        """Bring the GPIO chip back, under the number that the kernel gives it."""
        self.machine.exec("systemctl", "restart", "devices")

    def unplug_pedal(self) -> None:
        """Pull the pedal."""
        self.machine.exec("systemctl", "stop", "pedal")

    def replug_pedal(self) -> None:
        """Put the pedal back."""
        self.machine.exec("systemctl", "start", "pedal")

    def unplug_webcam(self) -> None:
        """Pull the webcam as soon as no program uses it."""
        self.machine.sh("systemctl stop webcam; until rmmod v4l2loopback 2>/dev/null; do sleep 0.2; done")

    def replug_webcam(self) -> None:
        """Put the webcam back; return when it delivers pictures."""
        self.machine.sh(
            "systemctl restart devices; systemctl start webcam;"
            " until v4l2-ctl -d /dev/video20 -D | grep -q 'Video Capture'; do sleep 0.2; done; udevadm settle"
        )

    def unplug_sensor(self) -> None:
        """Pull the camera on the ribbon cable, in use or not."""
        self.machine.sh(f"echo vimc.0 > {_VIMC}/unbind")

    def replug_sensor(self) -> None:
        """Put the camera on the ribbon cable back."""
        self.machine.sh(f"echo vimc.0 > {_VIMC}/bind; udevadm settle")

    def settings(self, text: str) -> None:
        """Give the daemon other settings, and start it again."""
        self.machine.write(SETTINGS, text)
        self.machine.exec("systemctl", "restart", "kioskd", within_s=START_S)

    def says(self) -> Mapping[str, Any]:
        """Return the daemon's status."""
        answer: Mapping[str, Any] = self.machine.ask({"do": "status"})
        return answer

    def does(self, what: str) -> None:
        """Have the daemon wake or sleep, by its control socket."""
        answer = self.machine.ask({"do": what})
        assert answer["ok"], answer

    def starts(self) -> None:
        """Wait until systemd says that the daemon has started, after a boot or a restart."""
        until = time.monotonic() + START_S
        while self.machine.show("ActiveState") != "active":
            said = self.machine.journal.text("kioskd.service")
            assert time.monotonic() < until, f"has not started; journal:\n{said[-3000:]}"
            time.sleep(0.5)
        self.machine.exec(
            "systemctl", "reset-failed", "kioskd"
        )  # a start that hung during the boot does not count

    def shows(self, words: str, within_s: float = PATIENCE_S) -> None:
        """Wait until the daemon's status in systemd has these words."""
        until = time.monotonic() + within_s
        while words not in (status := self.machine.show("StatusText")):
            said = self.machine.journal.text("kioskd.service")
            assert time.monotonic() < until, f"shows: {status}; journal:\n{said[-3000:]}"
            time.sleep(0.5)

    def wakes(self) -> None:
        """Press the button, and wait until the kiosk listens."""
        with self.service.sees("setup_complete", within_s=PATIENCE_S):
            self.press()
        self.shows("In conversation: listening")

    def sleeps(self) -> None:
        """End the conversation, if there is one."""
        self.does("sleep")
        self.shows("Asleep")

    def speaks(self) -> None:
        """Have the visitor say something, and wait until the reply has begun to sound."""
        with self.service.sees("reply_began", within_s=PATIENCE_S):
            self.speak()
        self.shows("In conversation: speaking")

    def answers(self) -> None:
        """Have the visitor say something, and wait until the reply was played."""
        place = self.machine.journal.now
        with self.service.sees("reply_sent", within_s=PATIENCE_S):
            self.speak()
        self.ends_turn("heard", place)

    def ends_turn(self, cause: str, place: int) -> None:
        """Wait until the journal has a turn that ended by this cause."""
        self.machine.journal.wait(
            lambda entry: (entry.get("MESSAGE_ID"), entry.get("KIOSKD_CAUSE")) == (journal_ids.TURN, cause),
            since=place,
            within_s=PATIENCE_S,
        )

    def heard(self) -> float:
        """Have a reply played; return the share of it at the other end of the card Spk. See `in_order`."""
        with self._recording():
            self.answers()
        return in_order(models_words(), _left(self.machine.pull("/run/heard")), pcm.DOWNLINK_HZ)

    def loses(self, part: str, place: int) -> None:
        """Wait until the daemon has logged the loss of this part."""
        self.machine.journal.wait(f"{part} lost, ", since=place, within_s=PATIENCE_S)

    def regains(self, part: str, place: int) -> None:
        """Wait until the daemon has logged the return of this part."""
        self.machine.journal.wait(f"{part} back", since=place, within_s=PATIENCE_S)

    @property
    def restarts(self) -> int:
        """How often systemd has restarted the daemon."""
        return int(self.machine.show("NRestarts"))

    @contextlib.contextmanager
    def _recording(self) -> Iterator[None]:
        """Record what the card Spk plays, in stereo at 24 kHz, to /run/heard."""
        self.machine.sh(
            "systemd-run -q --collect --unit=ear arecord -q -D hw:CARD=Spk,DEV=1 "
            f"-f S16_LE -r {pcm.DOWNLINK_HZ} -c 2 -t raw /run/heard"
        )
        try:
            yield
        finally:
            self.machine.sh("systemctl stop ear")


@contextlib.contextmanager
def kiosk(
    image: Path, disk: Path, *, files: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Kiosk]:
    """Yield a kiosk that has booted from `disk`, and is asleep or reports why not.

    `options` are the machine's.
    """
    with tempfile.NamedTemporaryFile(suffix=".wav") as said, Service(_script(said.name)) as service:
        port = service.simulator.endpoint.rpartition(":")[2]
        own = {
            "/etc/kioskd/ca.pem": service.simulator.ca_file.read_text(),
            "/etc/simulator": f"PORT={port}\n",
        }
        with VirtualMachine(image, disk, files={**own, **(files or {})}, **options) as machine:
            yield Kiosk(machine, service)


def _script(path: str) -> ServiceScript:
    """Return the service's script, whose reply is written to this WAV file."""
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(pcm.SAMPLE_BYTES)
        file.setframerate(pcm.DOWNLINK_HZ)
        file.writeframes(b"".join(models_words()))
    return ServiceScript(replies=(Reply(wav=Path(path)),), key=SecretStr(KEY), think_s=0.5, silence_ms=800)


def _left(stereo: bytes) -> bytes:
    """Return the left channel."""
    samples = np.frombuffer(stereo[: len(stereo) & ~3], "<i2")
    return samples[::2].tobytes()
