"""What the source says of each setting, for whoever shows it. Read here, and not by pydantic at each start: 20 ms."""

import ast
import inspect
import textwrap
from itertools import pairwise

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return what stands under each field of a model, its bases' included, by the field's name."""
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
    return found


class Described(GenerateJsonSchema):
    """A JSON Schema that tells an editor what each setting is for; see `BaseModel.model_json_schema`."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return a section's schema."""
        made = super().model_schema(schema)
        model = schema["cls"]
        for name, words in descriptions(model).items():
            field = model.model_fields[name]
            made["properties"][field.alias or name]["description"] = words
        return made
