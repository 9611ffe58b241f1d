"""The JSON schema of study files, with the options of every installed component, for editors."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from kpcore.config import StudyConfig
from kpcore.registry import KINDS, Registry

Schema = dict[str, Any]


def study_schema(known: Registry) -> Schema:
    """Return the JSON schema (draft 2020-12) of a study file as it stands after a profile.

    A table that names a component takes that component's options: ``if`` its name is such, ``then`` these keys.
    """
    configs = {(kind, name): known.component(kind, name).Config for kind in KINDS for name in known.names(kind)}
    models = [StudyConfig, *dict.fromkeys(configs.values())]
    references, shared = models_json_schema([(model, "validation") for model in models])
    definitions: Schema = shared["$defs"]
    options = {
        component: definitions[references[config, "validation"]["$ref"].rpartition("/")[2]]
        for component, config in configs.items()
    }
    for kind, node, key in _tables(definitions):
        node["allOf"] = [_condition(name, key, found) for (of, name), found in options.items() if of == kind]
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "kptransfer study"}
    return {**schema, **references[StudyConfig, "validation"], "$defs": definitions}


def _tables(definitions: Schema) -> list[tuple[str, Schema, str]]:
    """Return kind, schema and naming key of every place where a component is named."""
    evaluation = definitions["EvaluationTable"]["properties"]
    datasets = [definitions[table] for table in ("DatasetTable", "OtherDatasetTable")]
    return [
        *(("dataset", dataset, "name") for dataset in datasets),
        *(("generator", dataset["properties"]["generate"], "name") for dataset in datasets),
        ("split", definitions["SplitTable"], "name"),
        ("backbone", definitions["BackboneTable"], "name"),
        ("codec", definitions["CodecTable"], "name"),
        ("metric", evaluation["metric"], "name"),
        ("metric", definitions["ValidationTable"], "name"),
        ("strategy", definitions["ModeTable"], "strategy"),
    ]


def _condition(name: str, key: str, options: Schema) -> Schema:
    then = {word: options[word] for word in ("properties", "required") if word in options}
    return {"if": {"properties": {key: {"const": name}}, "required": [key]}, "then": then}
