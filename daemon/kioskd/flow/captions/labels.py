"""The words around the captions: names of both sides, and names of the states, in several languages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kioskd.core.effects import KioskStatus

DEFAULT: Final = "en"

_ORDER: Final = (
    KioskStatus.STARTING,
    KioskStatus.ASLEEP,
    KioskStatus.WAKING,
    KioskStatus.LISTENING,
    KioskStatus.THINKING,
    KioskStatus.SPEAKING,
    KioskStatus.MUTED,
    KioskStatus.OFFLINE,
    KioskStatus.CLOSED,
    KioskStatus.FAULT,
)
_OTHERS: Final = ("visitor", "kiosk", "left", "lost")
"""The names of both sides, of the time that is left, and of a lost connection to the daemon."""

_TEXTS: Final[Mapping[str, str]] = {
    "en": "Starting|Ready|Connecting|Listening|Thinking|Speaking|Microphone off|No connection|Closed"
    "|Out of order|You|Kiosk|Time left|Captions are connecting",
    "de": "Startet|Bereit|Verbindet sich|Hört zu|Denkt nach|Spricht|Mikrofon aus|Keine Verbindung|Geschlossen"
    "|Außer Betrieb|Sie|Kiosk|Restzeit|Untertitel verbinden sich",
    "fr": "Démarrage|Prêt|Connexion|Écoute|Réfléchit|Parle|Micro coupé|Pas de connexion|Fermé"
    "|Hors service|Vous|Borne|Temps restant|Connexion des sous-titres",
    "es": "Iniciando|Listo|Conectando|Escuchando|Pensando|Hablando|Micrófono apagado|Sin conexión|Cerrado"
    "|Fuera de servicio|Usted|Quiosco|Tiempo restante|Conectando los subtítulos",
    "it": "Avvio|Pronto|Connessione|In ascolto|Sta pensando|Sta parlando|Microfono spento|Nessuna connessione"
    "|Chiuso|Fuori servizio|Lei|Chiosco|Tempo rimasto|Connessione dei sottotitoli",
    "nl": "Start op|Klaar|Maakt verbinding|Luistert|Denkt na|Spreekt|Microfoon uit|Geen verbinding|Gesloten"
    "|Buiten werking|U|Kiosk|Resterende tijd|Ondertitels maken verbinding",
    "pt": "A iniciar|Pronto|A ligar|A ouvir|A pensar|A falar|Microfone desligado|Sem ligação|Fechado"
    "|Fora de serviço|Você|Quiosque|Tempo restante|A ligar as legendas",
    "pl": "Uruchamianie|Gotowy|Łączenie|Słucha|Myśli|Mówi|Mikrofon wyłączony|Brak połączenia|Zamknięte"
    "|Nieczynny|Ty|Kiosk|Pozostały czas|Łączenie napisów",
    "ar": "بدء التشغيل|جاهز|جارٍ الاتصال|يستمع|يفكر|يتكلم|الميكروفون مغلق|لا يوجد اتصال|مغلق"
    "|خارج الخدمة|أنت|الكشك|الوقت المتبقي|جارٍ توصيل الترجمة",
    "he": "מתחיל|מוכן|מתחבר|מקשיב|חושב|מדבר|המיקרופון כבוי|אין חיבור|סגור"
    "|לא פעיל|אתם|עמדה|הזמן שנותר|הכתוביות מתחברות",
}
"""The texts by language: the states in the order of `_ORDER`, then `_OTHERS`."""


@dataclass(frozen=True, slots=True)
class CaptionLabels:
    """The words of one language."""

    language: str
    states: Mapping[KioskStatus, str]
    others: Mapping[str, str]


def labels(language: str) -> CaptionLabels:
    """Return the words of `language`, a BCP-47 tag; those of English if the language has none here."""
    tag = language.split("-", maxsplit=1)[0].lower()
    tag = tag if tag in _TEXTS else DEFAULT
    texts = _TEXTS[tag].split("|")
    return CaptionLabels(
        tag,
        dict(zip(_ORDER, texts[: len(_ORDER)], strict=True)),
        dict(zip(_OTHERS, texts[len(_ORDER) :], strict=True)),
    )
