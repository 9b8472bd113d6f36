"""`kioskd schema`: prints the JSON Schema of the YAML, for editors."""

import argparse
import json

from kioskd.cli import Exit
from kioskd.settings.model import Settings
from kioskd.yamlconf.field_docs import Described

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the epilog; the command has no options."""
    parser.epilog = (
        "Save it beside the configuration. "
        "The first lines of kioskd.yaml.reference say how an editor finds it."
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    schema = {"$schema": DIALECT} | Settings.model_json_schema(schema_generator=Described)
    print(json.dumps(schema, indent=2, ensure_ascii=False))
    return Exit.OK
