"""PortAudio on a card that is unplugged between opening and start: it hangs, or aborts if it is slow."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

pytest.importorskip("pyaudio", reason="no PyAudio here")
pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="the C compiler is missing; run `apt install gcc`"
)

GONE: Final = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int snd_pcm_start(void *pcm) { return -19; }
static void *(*threads)(void *);
static void *late(void *given) {
  if (getenv("SLOW")) { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, 0); sleep(2); }
  return threads(given);
}
int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *), void *given) {
  int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  real = dlsym(RTLD_NEXT, "pthread_create");
  Dl_info of;
  int known = dladdr((void *)run, &of) && of.dli_fname;
  if (known && strstr(of.dli_fname, "libportaudio")) { threads = run; run = late; }
  return real(thread, how, run, given);
}
"""
"""C code that is loaded before ALSA: every start fails with ENODEV, and SLOW delays PortAudio's threads."""

LISTEN: Final = """
import asyncio, logging, sys
from pathlib import Path
from kioskd.adapters.portaudio import device_thread, stderr, streams
logging.basicConfig(format="%(message)s")
stderr.keep(Path(sys.argv[1]))
device_thread.OPEN_S, device_thread.CLOSE_S = 3.0, 0.5
try:
    asyncio.run(streams.PortAudioMicrophone("default").capture(lambda _: None))
except streams.DeviceLost as lost:
    print(type(lost).__name__, lost)
    sys.stdout.flush()
    raise SystemExit(69)
"""
KEEP: Final = (
    "import sys; from pathlib import Path; from kioskd.adapters.portaudio import stderr; "
    "stderr.keep(Path(sys.argv[1]))"
)


def run(folder: Path, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script like the daemon, on a card that is unplugged."""
    (folder / "gone.c").write_text(GONE)
    (folder / "asound.conf").write_text("pcm.default { type null }\n")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-w", "-o", folder / "gone.so", folder / "gone.c", "-ldl"], check=True
    )
    card = {"LD_PRELOAD": str(folder / "gone.so"), "ALSA_CONFIG_PATH": str(folder / "asound.conf")}
    return subprocess.run(
        [sys.executable, "-c", script, folder], capture_output=True, text=True, check=False, timeout=50,
        env=os.environ | card | environ,
    )  # fmt: skip


def test_an_opening_that_hangs_needs_a_new_process(tmp_path: Path) -> None:
    done = run(tmp_path, LISTEN)
    assert (done.returncode, done.stdout.partition(" ")[0]) == (69, "DeviceStuck")
    assert "Expression" not in done.stderr


def test_an_abort_shows_its_stack_and_the_next_process_logs_the_assertion(tmp_path: Path) -> None:
    done = run(tmp_path, LISTEN, SLOW="1")
    assert done.returncode == -signal.SIGABRT
    assert "start_stream" in done.stderr
    assert "crashed; the last message of a library was: " in (after := run(tmp_path, KEEP).stderr)
    assert "Assertion `0 == paUtilErr_' failed" in after
