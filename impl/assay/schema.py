"""The JSON Schema of the specification format, generated from the models so that the two cannot drift."""

from __future__ import annotations

import json

from assay.spec import HARDWARE, Bound, Requirement, Slice, Spec


def text() -> str:
    """The schema file's content: stable bytes, one trailing newline."""
    schema = Spec.model_json_schema()
    schema["title"] = "Assay specification"
    schema["properties"].pop("path")
    bounds = Bound.model_json_schema()["properties"]
    for model in (Requirement, Slice):
        definition = schema["$defs"][model.__name__]
        definition["properties"].pop("bound")
        definition["properties"] |= bounds  # in a file the bound's keys stand in the row itself
    schema["$defs"].pop("Bound")
    schema["$defs"]["Requirement"]["properties"]["on"]["items"]["enum"] = list(HARDWARE)
    schema["$defs"]["Requirement"]["properties"]["slices"]["items"] = {
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/Slice"}]
    }
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
