"""Faults of sound, camera, button and lamp, and of the service in a session."""

import socketserver
import threading
from collections.abc import Iterator
from functools import partial

from tests.box.planting import DROP_IN, PLAIN, QUIET, Bench, Table
from tests.box.site import CREDENTIAL, Service
from tests.support.pictures import grey

from kioskd.errors import Code
from kioskd.simulator import ScriptedFault, ServiceScript

TABLE = Table()
plants = TABLE.plants


# No device is plugged in.


@plants("bare", "sandbox", "runs-as-root", "systemctl cat kioskd")
def a_unit_of_root(bench: Bench) -> Iterator[None]:
    with bench.drop_in("User="):
        yield


@plants("bare", "key", "key-not-loaded", "only an encrypted key")
def a_plain_key_that_the_unit_does_not_take(bench: Bench) -> Iterator[None]:
    key = bench.it.service.simulator.key.get_secret_value()
    with bench.without(CREDENTIAL), bench.file(PLAIN, key, "600"):
        yield


@plants("bare", "tls", "tls-broken", "sign-in page")
def a_sign_in_page(bench: Bench) -> Iterator[None]:
    class Page(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: http://hotel.example/\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Page) as hotel:
        thread = threading.Thread(target=partial(hotel.serve_forever, poll_interval=0.05), name="hotel")
        thread.start()
        bench.settings["service"]["endpoint"] = f"https://127.0.0.1:{hotel.server_address[1]}"
        yield
        hotel.shutdown()
        thread.join()


@plants("bare", "microphone", "microphone-missing", "microphone.device")
def no_microphone(bench: Bench) -> Iterator[None]:
    bench.it.sound.unplug("mic")
    yield
    bench.it.sound.replug("mic")


@plants("bare", "speaker", "speaker-missing", "speaker.device")
def no_speaker(bench: Bench) -> Iterator[None]:
    bench.it.sound.unplug("spk")
    yield
    bench.it.sound.replug("spk")


@plants("bare", "camera", "camera-missing", "kioskd devices")
def no_camera(bench: Bench) -> Iterator[None]:
    bench.settings["camera"]["source"] = "v4l2:Front"
    yield


@plants("bare", "button", "button-missing", "gpiochip0")
def no_line_for_the_button(bench: Bench) -> Iterator[None]:
    bench.settings["controls"]["button"] = {"source": "gpio:gpiochip0/17"}
    yield


@plants("bare", "lamp", "lamp-missing", "led:status")
def no_lamp(bench: Bench) -> Iterator[None]:
    bench.settings["controls"]["lamp"] = {"source": "led:status"}
    yield


@plants("bare", "files", "folder-not-writable", "ReadWritePaths=")
def recordings_that_the_sandbox_does_not_allow(bench: Bench) -> Iterator[None]:
    bench.settings["privacy"] = {"recordings": {"folder": "/srv/kiosk", "keep_days": 1, "most_mb": 10}}
    yield


# All devices are there, but have faults.


@plants("muted", "service", "unit-not-enabled", "systemctl enable kioskd")
def a_service_that_does_not_start_with_the_machine(bench: Bench) -> Iterator[None]:
    bench.sh("systemctl disable kioskd 2>/dev/null")
    yield
    bench.sh("systemctl enable kioskd 2>/dev/null")


@plants("muted", "session", "refused", "kioskd key")
def a_key_that_the_service_does_not_know(bench: Bench) -> Iterator[None]:
    with bench.without(CREDENTIAL):
        bench.sh(
            f"systemd-creds encrypt --name=gemini-api-key - {CREDENTIAL}", given="no-key-of-this-service"
        )
        yield
        bench.sh(f"rm {CREDENTIAL}")


@plants("muted", "microphone", "microphone-silent", "alsamixer")
def a_microphone_that_is_muted(bench: Bench) -> Iterator[None]:
    bench.it.sound.mute("mic", True)
    yield
    bench.it.sound.mute("mic", False)


@plants("muted", "speaker", "speaker-muted", "volume")
def a_volume_of_nought(bench: Bench) -> Iterator[None]:
    bench.settings["speaker"] = {"volume": 0, "volume_floor": 0}
    yield


@plants("muted", "camera", "camera-black", "cap")
def a_camera_with_its_cap_on(bench: Bench) -> Iterator[None]:
    bench.look_at(grey(3))
    yield


@plants("muted", "button", "button-missing", "Pedal")
def no_pedal(bench: Bench) -> Iterator[None]:
    bench.settings["controls"]["button"] = {"source": "evdev:Pedal/KEY_SPACE"}
    yield


@plants("muted", "lamp", "lamp-missing", "/opt/lamp")
def a_lamps_command_that_is_not_there(bench: Bench) -> Iterator[None]:
    bench.settings["controls"]["lamp"] = {"command": ["/opt/lamp"]}
    yield


@plants("loud", "service", "unit-unwatched", "watchdog")
def a_unit_without_a_watchdog(bench: Bench) -> Iterator[None]:
    with bench.drop_in("WatchdogSec=0"):
        yield


@plants("loud", "session", "refused", "gemini-9.9-telepathy")
def a_model_that_there_is_not(bench: Bench) -> Iterator[None]:
    bench.settings["service"]["model"] = "gemini-9.9-telepathy"
    yield


@plants("loud", "microphone", "microphone-clipped", "gain")
def a_microphone_that_is_overdriven(bench: Bench) -> Iterator[None]:
    bench.it.sound.amplify("mic", 70)
    yield
    bench.it.sound.amplify("mic", 0)


@plants("loud", "speaker", "speaker-missing", "horn")
def a_speaker_of_another_name(bench: Bench) -> Iterator[None]:
    bench.settings["speaker"]["device"] = "horn"
    yield


@plants("loud", "camera", "camera-missing", "folder:/etc/kioskd/film")
def no_folder_of_pictures(bench: Bench) -> Iterator[None]:
    bench.settings["camera"]["source"] = "folder:/etc/kioskd/film"
    yield


# Faults of the echo.


@plants("unheard", "echo", "speaker-not-heard", "amplifier")
def a_speaker_without_an_amplifier(bench: Bench) -> Iterator[None]:
    yield  # the virtual card's speaker is in another room


@plants("unheard", "session", "quota", "AI Studio")
def a_service_that_has_had_enough(bench: Bench) -> Iterator[None]:
    bench.service_does(ScriptedFault(on="connect", do="refuse", status=429))
    yield


@plants("echoing", "echo", "echo-not-cancelled", "set microphone.echo: cancel")
def a_card_that_is_said_to_cancel_echo_and_does_not(bench: Bench) -> Iterator[None]:
    bench.settings["microphone"] = {"echo": "hardware"}
    with bench.it.sound.air(QUIET):
        yield


@plants("echoing", "tls", "certificate-out-of-time", "timedatectl")
def a_clock_that_is_slow(bench: Bench) -> Iterator[None]:
    with Service(ServiceScript(certificate="not_yet_valid")) as early:
        bench.settings["service"] |= {"endpoint": early.simulator.endpoint, "ca_file": "early.pem"}
        with bench.file("/etc/kioskd/early.pem", early.simulator.ca_file.read_text()):
            yield


# The kiosk serves, and holds its devices.


@plants("serving", "service", "other-version", "sudo systemctl restart kioskd")
def an_upgrade_without_a_restart(bench: Bench) -> Iterator[None]:
    package = "/opt/kioskd/current/lib/python3*/site-packages/kioskd/__init__.py"
    bench.then.append(f"sed -i.gone 's/^__version__ = .*/__version__ = \"9.9.9\"/' {package}")
    yield
    bench.sh(f"for one in {package}; do mv $one.gone $one; done")


@plants("serving", "service", "unit-changed", "daemon-reload")
def a_drop_in_that_does_not_hold_yet(bench: Bench) -> Iterator[None]:
    bench.then.append(f"printf '[Service]\\nNice=0\\n' > {DROP_IN}")
    yield
    bench.sh(f"rm {DROP_IN}; systemctl daemon-reload")


@plants("serving", "speaker", "speaker-missing", f"code {Code.SPEAKER}")
def a_speaker_that_is_pulled(bench: Bench) -> Iterator[None]:
    bench.it.sound.unplug("spk")
    yield
    bench.it.sound.replug("spk")
