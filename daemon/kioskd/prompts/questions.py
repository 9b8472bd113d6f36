"""What the kiosk asks before a tool acts that needs a press, in each language that is shipped."""

from typing import Final

from kioskd.prompts.texts import DEFAULT, tags

_ALLOW: Final = {
    "en": "May I use {name}?",
    "de": "Darf ich {name} ausführen?",
    "fr": "Puis-je exécuter {name} ?",
    "es": "¿Puedo ejecutar {name}?",
    "it": "Posso eseguire {name}?",
    "nl": "Mag ik {name} uitvoeren?",
    "pt": "Posso executar {name}?",
    "pl": "Czy mogę wykonać {name}?",
}
_PRESS: Final = {
    "en": "To allow it, press the button.",
    "de": "Zum Erlauben bitte den Knopf drücken.",
    "fr": "Pour l'autoriser, appuyez sur le bouton.",
    "es": "Para permitirlo, pulse el botón.",
    "it": "Per permetterlo, premere il pulsante.",
    "nl": "Druk op de knop om het toe te staan.",
    "pt": "Para permitir, prima o botão.",
    "pl": "Aby zezwolić, naciśnij przycisk.",
}


def question(name: str, words: str, language: str) -> str:
    """Return what is said for the tool called `name`; `words` are the owner's own, if there are any."""
    tag = next((tag for tag in tags(language) if tag in _PRESS), DEFAULT)
    asked = words or _ALLOW[tag].format(name=" ".join(name.replace("_", " ").replace("-", " ").split()))
    return f"{asked} {_PRESS[tag]}"
