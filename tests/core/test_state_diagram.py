"""The manual's drawing of the two machines shows the arrows that matter.

tests/test_generated.py holds the drawing to be the core's own.
"""

from tests.support.generated import shown


def test_the_drawing_shows_the_arrows_that_matter() -> None:
    lines = shown("states", "link.md")
    assert lines.count("stateDiagram-v2") == 2
    assert "  [*] --> asleep" in lines
    assert "  [*] --> down" in lines
    assert "  listening --> thinking: talk ended, asked, voice ended, up" in lines
    assert "  reverberating --> speaking: reply began" in lines
    assert "  down --> dialing: conversation begins, network changed, settings changed, probe timer" in lines
    assert "  draining --> dialing: quiet moment, lost, rollover timer" in lines
    assert "  waiting --> dialing: network changed, settings changed, retry timer" in lines
    wakes = "started, pressed, woken, talk began, look asked, asked, restored, again timer"
    assert f"  asleep --> listening: {wakes}" in lines
    assert "  dialing --> down: conversation ends, probe over, lost" in lines
    arrows = [line.split(":")[0].split() for line in lines if " --> " in line]
    assert {phase for arrow in arrows for phase in (arrow[0], arrow[2])} == {
        *("[*]", "asleep", "listening", "thinking", "speaking", "reverberating"),
        *("down", "dialing", "up", "draining", "waiting"),
    }
