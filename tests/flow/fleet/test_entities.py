"""Home Assistant is told of every entity, with topics of its own."""

import json
from typing import Any

from kioskd.flow.fleet.entities import COMMANDED, ENTITIES, FleetTopics, discovery, state

STATUS: dict[str, Any] = {
    "state": "asleep",
    "words": "Asleep, ready for the next visitor",
    "code": None,
    "troubles": [],
    "waited_ms": None,
    "today": {"tokens": 12, "minutes": 1.25},
    "version": "1.0",
    "microphone": "working",
    "muted": False,
    "volume": 70,
    "log_level": "info",
}
TOPICS = FleetTopics("hall-1")


def told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(discovery(TOPICS, "Entrance hall", "Museum", "1.0")))
    return found


def test_each_entity_has_an_id_and_a_platform_of_its_own() -> None:
    components = told()["components"]
    assert list(components) == [entity.key for entity in ENTITIES]
    assert len({one["unique_id"] for one in components.values()}) == len(ENTITIES)
    assert all(one["availability_topic"] == "kioskd/hall-1/availability" for one in components.values())


def test_only_entities_that_take_commands_have_a_topic_for_them() -> None:
    components = told()["components"]
    assert {key for key, one in components.items() if "command_topic" in one} == set(COMMANDED)
    assert components["mute"]["command_topic"] == "kioskd/hall-1/do/mute"


def test_all_topics_of_a_kiosk_are_its_own() -> None:
    for one in told()["components"].values():
        for name, topic in one.items():
            assert not name.endswith("_topic") or topic.startswith("kioskd/hall-1/")


def test_a_value_is_read_for_each_entity_that_shows_one() -> None:
    values = state(STATUS)
    shown = {key for key, one in told()["components"].items() if "value_template" in one}
    assert set(values) == shown
    assert (values["state"], values["code"], values["problem"], values["service"]) == (
        *("asleep", "none", False, True),
    )
    assert (values["tokens_today"], values["minutes_today"]) == (12, 1.2)


def test_an_outage_is_a_problem_and_quiet_hours_are_none() -> None:
    out = state(STATUS | {"code": "W1", "troubles": [{"code": "W1"}]})
    assert (out["problem"], out["service"], out["code"]) == (True, False, "W1")
    closed = state(STATUS | {"troubles": [{"code": "L2"}]})
    assert closed["service"] is True


def test_the_device_has_the_owners_name_and_place() -> None:
    device = told()["device"]
    assert (device["name"], device["suggested_area"]) == ("Entrance hall", "Museum")
    assert device["sw_version"] == "1.0"
