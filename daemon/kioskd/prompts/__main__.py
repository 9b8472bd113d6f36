"""`python -m kioskd.prompts LANGUAGE --cache DIR [--owner DIR]`: render the prompts at installation."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from kioskd.prompts import render_all


def main() -> int:
    """Return 0 if each code has its prompt, else 1; stderr says which prompts are missing and why."""
    parser = argparse.ArgumentParser(
        prog="python -m kioskd.prompts", description="Render the spoken prompts once."
    )
    parser.add_argument("language", help="assistant.language of the configuration, such as de-AT")
    parser.add_argument("--cache", type=Path, required=True, help="the daemon's cache directory")
    parser.add_argument("--owner", type=Path, help="speaker.prompts_folder of the configuration")
    args = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    return 0 if asyncio.run(render_all(args.language, args.owner, args.cache)) else 1


if __name__ == "__main__":
    sys.exit(main())
