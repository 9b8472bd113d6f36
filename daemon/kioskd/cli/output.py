"""What commands print: some of it are the words of services, servers, devices and journals, and none of it drives a terminal."""

from kioskd import sanitize


def say(text: str) -> None:
    """Print lines for people."""
    print("\n".join(sanitize.replaced(line) for line in text.split("\n")), flush=True)


def say_json(value: object, *, indent: int | None = 2) -> None:
    """Print JSON."""
    print(sanitize.json_text(value, indent=indent), flush=True)
