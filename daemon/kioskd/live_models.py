"""The features of each known Live model, and the settings that the service would reject.

Sources: the Live API's model pages and capability guide of 2026-09 and 2026-10. A model that is not in the
table is treated like the newest one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

Provider = Literal["gemini", "vertex"]
ThinkingLevel = Literal["minimal", "low", "medium", "high"]

LEVELS: Final[tuple[ThinkingLevel, ...]] = ("minimal", "low", "medium", "high")


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """The features of one model. The defaults are those of gemini-3.8-live."""

    providers: frozenset[Provider]
    """The providers that serve this model."""
    thinking_levels: tuple[ThinkingLevel, ...] = ()
    """The thinking levels that the model accepts. Empty: the service rejects any level."""
    thinking_budget: bool = False
    """Whether the owner can limit thinking by a number of tokens."""
    thinking_default: ThinkingLevel | None = None
    """The level to send if the owner chose none, for a model that needs one. None: send no level."""
    api_version: str = "v1beta"
    """The version of the Developer API that serves this model."""
    functions: Literal["blocking_only", "blocking", "non_blocking", "non_blocking_only"] = "non_blocking"
    """Whether the model waits for the result of a function by default. `_only`: there is no other choice."""
    client_content: Literal["any_time", "seed_only"] = "any_time"
    """When the model accepts turns in text: at any time, or only before the first realtime input."""
    pictures_in_answers: bool = True
    """Whether a tool's answer can hold a picture for the same turn."""


_GEMINI: Final = frozenset[Provider]({"gemini"})
_VERTEX: Final = frozenset[Provider]({"vertex"})

NEWEST: Final = "gemini-3.8-live"

PROFILES: Final[dict[str, ModelProfile]] = {
    NEWEST: ModelProfile(_GEMINI | _VERTEX),
    "gemini-3.8-live-extended-thinking": ModelProfile(
        _GEMINI,
        thinking_levels=LEVELS,
        thinking_budget=True,
        # This model needs exactly one of level and budget. "low": the visitor waits while the model thinks.
        thinking_default="low",
        api_version="v1alpha",
        functions="non_blocking_only",
    ),
    "gemini-3.1-flash-live-preview": ModelProfile(
        _GEMINI, thinking_levels=LEVELS, functions="blocking_only", client_content="seed_only"
    ),
    "gemini-2.5-flash-native-audio-preview-12-2025": ModelProfile(
        _GEMINI, thinking_budget=True, functions="blocking", pictures_in_answers=False
    ),
    "gemini-live-2.5-flash-native-audio": ModelProfile(
        _VERTEX, thinking_budget=True, functions="blocking", pictures_in_answers=False
    ),
}

SHUT_DOWN: Final = {
    "gemini-live-2.5-flash-preview": "2025-12-09",
    "gemini-2.0-flash-live-001": "2025-12-09",
    "gemini-3.1-flash-live-preview": "2026-11-17",
}
"""Models that were shut down, with the date."""

PROBABLY_SHUT_DOWN: Final = {"gemini-2.5-flash-native-audio-preview-12-2025": "2026-11-17"}
"""Models that were probably shut down, with the date.

Two Live previews ended on that day, and this is the only other preview.
"""

EPHEMERAL_API_VERSIONS: Final = ("v1beta", "v1alpha")
"""The API versions that accept ephemeral tokens.

v1beta is first because Google's guide uses it; the SDK still names v1alpha. A token opens only the version
that it was minted for. If the service rejects the first version, the second one is tried.
"""

VERTEX_API_VERSION: Final = "v1beta1"

_OF_THE_OTHER: Final[dict[Provider, tuple[str, ...]]] = {
    "gemini": ("v1beta1",),
    "vertex": ("v1beta", "v1alpha"),
}
"""The API versions that only the other provider has, by provider."""

# fmt: off
VERTEX_LANGUAGES: Final = frozenset({
    "ar-EG", "bn-BD", "de-DE", "en-IN", "en-US", "es-US", "fr-FR", "hi-IN", "id-ID", "it-IT", "ja-JP",
    "ko-KR", "mr-IN", "nl-NL", "pl-PL", "pt-BR", "ro-RO", "ru-RU", "ta-IN", "te-IN", "th-TH", "tr-TR",
    "uk-UA", "vi-VN",
})
"""The languages that Vertex documents. The Developer API publishes no list."""
# fmt: on


@dataclass(frozen=True, slots=True)
class WantedFeatures:
    """The owner's settings that depend on the model and the provider."""

    model: str
    provider: Provider = "gemini"
    api_version: str | None = None
    by_token: bool = False
    """Whether the service is dialed with ephemeral tokens."""
    languages: tuple[str, ...] = ()
    """The languages that the owner lists; none if the model follows any visitor."""
    thinking: ThinkingLevel | None = None


def known(model: str) -> bool:
    """Return whether there is a profile of `model`, or a date of its end."""
    return _short(model) in PROFILES or _short(model) in SHUT_DOWN


def profile(model: str) -> ModelProfile:
    """Return the features of `model`. An unknown model gets those of the newest one."""
    return PROFILES.get(_short(model), PROFILES[NEWEST])


def api_version(wanted: WantedFeatures) -> str:
    """Return the API version to dial: the owner's, or else the one that serves the model."""
    if wanted.api_version is not None:
        return wanted.api_version
    if wanted.provider == "vertex":
        return VERTEX_API_VERSION
    return profile(wanted.model).api_version


def other_version(wanted: WantedFeatures) -> str | None:
    """Return the version to dial with a token after `api_version` was rejected; None if there is none."""
    first, other = EPHEMERAL_API_VERSIONS
    if wanted.api_version is not None or wanted.provider == "vertex":
        return None
    # A model that only v1alpha serves has no other version.
    return other if api_version(wanted) == first else None


def probably_shut_down(model: str) -> str | None:
    """Return a note if `model` was probably shut down, else None."""
    since = PROBABLY_SHUT_DOWN.get(_short(model))
    if since is None:
        return None
    return f"service.model: {_short(model)} was probably shut down on {since}; use {NEWEST}"


def refusals(wanted: WantedFeatures) -> Iterator[tuple[str, str]]:
    """Yield each setting that the service would reject: its name, and a text with cause and remedy."""
    model = _short(wanted.model)
    if model in SHUT_DOWN:
        yield "service.model", f"{model} cannot be used: it was shut down on {SHUT_DOWN[model]}; use {NEWEST}"
        return
    found = profile(model)
    if wanted.provider not in found.providers:
        (owner,) = found.providers
        # With the wrong provider, further messages would be about the wrong service.
        why = f"{wanted.provider} does not serve it"
        yield "service.model", f"{model} cannot be used: {why}; use {NEWEST}, or provider: {owner}"
        return
    if wanted.thinking is not None and wanted.thinking not in found.thinking_levels:
        why = (
            "accepts a thinking budget, but no level" if found.thinking_budget else "has no thinking setting"
        )
        yield "assistant.thinking", f"{wanted.thinking} cannot be used: {model} {why}; leave it out"
    yield from _version_refusals(wanted, model, found)
    missing = sorted(set(wanted.languages) - VERTEX_LANGUAGES) if wanted.provider == "vertex" else []
    for language in missing:
        near = [tag for tag in sorted(VERTEX_LANGUAGES) if tag[:2] == language[:2]]
        offers = " or ".join(near or sorted(VERTEX_LANGUAGES))
        why = f"{language} cannot be used: vertex does not offer this language"
        yield "assistant.language", f"{why}; use {offers}"


def _version_refusals(wanted: WantedFeatures, model: str, found: ModelProfile) -> Iterator[tuple[str, str]]:
    version, why = wanted.api_version, ""
    if version is None:
        return
    if version in _OF_THE_OTHER[wanted.provider]:
        why = f"{wanted.provider} has no such version"
    elif wanted.provider == "gemini" and found.api_version == "v1alpha":
        why = f"only v1alpha serves {model}" if version != "v1alpha" else ""
    elif wanted.provider == "gemini" and wanted.by_token and version not in EPHEMERAL_API_VERSIONS:
        why = f"only {' and '.join(EPHEMERAL_API_VERSIONS)} accept ephemeral tokens"
    if why:
        yield "service.api_version", f"{version} cannot be used: {why}; leave it out"


def _short(model: str) -> str:
    """Return the name without the path that the service puts before it."""
    return model.rpartition("/")[2]
