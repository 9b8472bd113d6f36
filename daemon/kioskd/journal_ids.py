"""MESSAGE_IDs of the events that an operator acts on. These numbers never change.

`journalctl MESSAGE_ID=...` finds the lines of an event. `journalctl -x` explains them from
systemd/kioskd.catalog, which holds the same numbers. A log line gets its number by
`extra={"message_id": journal_ids.NAME}`.
"""

from collections.abc import Mapping
from typing import Final

from kioskd.errors import Code

READY: Final = "906868de8395410881cad7538ff0849a"
CONVERSATION_BEGAN: Final = "bb3dfa394e064b89855a3d74fddeb964"
TURN: Final = "f3e1c39679214191a7fa79233beb3a15"
TURNS: Final = "69f7f514c3944398be6a2daec30cea8c"
CONVERSATION_ENDED: Final = "1a618f3b241046c0a114f99510a2d3a5"

BY_CODE: Final[Mapping[Code, str]] = {
    Code.WAY: "9653f577a8e54fb39e294e96252b7156",
    Code.SERVICE: "9c5e214ad15c4bf88ee855bb5fcdbe38",
    Code.QUOTA: "00350db62e754a97bf316cd4e6c0c280",
    Code.CLOCK: "88872e47504b4bc9bd997257f526a110",
    Code.SETTINGS: "3b6b2c45b5d140d8a40d3ae86d59cd1e",
    Code.FILE: "d3ae78b4279b478fa606968cda84bd87",
    Code.MICROPHONE: "b02fc06532da451f881873a7fdb3282d",
    Code.DEAF: "2d237d1ee67e4fcbb1d21a40702d3d42",
    Code.SPEAKER: "ac757443a28d44c1a7a7d8b40c2d6648",
    Code.BUTTON: "c2eec6dd456347b9af331fd4f3546f52",
    Code.CAMERA: "63da1229f2014da18a55fddd79c8270c",
    Code.LAMP: "8ffe98ebb9d94084a7a49d796698f4a9",
    Code.BUDGET: "7b4f81d5af1d4837bb28879bcf4cdf54",
    Code.HOURS: "c2eae305ddbe4d04b12b5594f1bac6fc",
    Code.STORAGE: "ef72230f2af349a9a920d7ec1ca8824a",
}
"""The ids of the lines that say that a fault began, by its code."""
MENDED: Final = "919725a2ba364d9b81d08ad1b7810ec7"
OPEN_AGAIN: Final = "618bc58803f049939638359cf171ed13"

TALK_SPENT: Final = "bf366924cb0a46be99b52b63d6be37be"
COUNT_LOST: Final = "855cd31a68e84a21a8dfb193d51cd601"

RECORDS_KEPT: Final = "2e2340bcf4ab4cf1827d7ab0fc261481"
RECORDS_FAILED: Final = "ef7294c680574786b5ea11b9b44881d1"

PART_LOST: Final = "94450d43cec2457bb709f6ebceaf545b"
NO_SIGN_OF_LIFE: Final = "bed80f02a6c148399b223b2985ae837c"
RELOADED: Final = "96e333a769b941a78fb14933636dfe2c"
RELOAD_REFUSED: Final = "98f10d21480b460fa65f50796c9395a8"
TOOL_LEFT_OUT: Final = "5d0c8e7b1f6a4c0f9a8f0f6f3b7e21c4"
TOKEN_MINTED: Final = "3f6b0c52f4c94d0f8a51f2b96e0d7c18"  # noqa: S105 - a number of messages, and no token
BUG: Final = "49895ba775a04923b28dfe1bae98933e"

MORE_LIKE_IT: Final = "ec75ab423133446bb3b48e23fe5364d4"
LINES_LOST: Final = "720653b0a2c44fbb873c81777749a7a3"
