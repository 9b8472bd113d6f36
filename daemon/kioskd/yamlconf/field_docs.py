"""The texts under the fields of the settings, for JSON Schema, config/kioskd.yaml and the manual.

They are read from the source here. Pydantic could read them at each start, which would take 20 ms.
"""

import ast
import inspect
import textwrap
from itertools import pairwise

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return the text of each field of a model and its bases, by the field's name.

    It stands under the field. A field that holds a section and has no such text has the docstring of the
    section.
    """
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if each is BaseModel or not issubclass(each, BaseModel):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(definition, ast.ClassDef)
        for pair in pairwise(definition.body):
            match pair:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(words))):
                    found[name] = inspect.cleandoc(words)
    for name, field in model.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel) and section.__doc__:
            found.setdefault(name, inspect.cleandoc(section.__doc__))
    return found


class Described(GenerateJsonSchema):
    """Generator of a JSON Schema with the text of each setting; see `BaseModel.model_json_schema`."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return the JSON Schema of a section."""
        made = super().model_schema(schema)
        model = schema["cls"]
        for name, words in descriptions(model).items():
            field = model.model_fields[name]
            made["properties"][field.alias or name]["description"] = words
        return made
