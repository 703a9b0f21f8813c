"""The schema of all results together, which nothing but the documentation needs: it loads every class."""

from __future__ import annotations

from importlib import import_module

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bbj_desktop.cli.results import RESULTS
from bbj_desktop.cli.screen import JSON_FORMAT


def result_class(command: str) -> type[BaseModel]:
    """The class of a command's result. Raises KeyError when there is no such command."""
    module, name = RESULTS[command].split(":")
    found: type[BaseModel] = getattr(import_module(f"bbj_desktop.cli.results.{module}"), name)
    return found


def command_schemas() -> dict[str, object]:
    """JSON Schema of what each command prints with ``--json``; ``docs/commands.schema.json`` is this.

    Each command's document is an envelope: ``format``, ``command``, and either ``result`` or ``error``. Arguments that
    name no command, or can't be read, end in an error whose ``command`` is empty.
    """
    results = {command: result_class(command) for command in RESULTS}
    classes = [(each, "serialization") for each in dict.fromkeys(results.values())]
    references, schema = models_json_schema(classes)  # type: ignore[arg-type]  # a list of pairs, as documented
    error = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "description": "Name of the error, e.g. NoSpaceError; Bug for a bug"},
            "message": {"type": "string", "description": "What happened, to what"},
            "hint": {"type": "string", "description": "What to do now; may be empty"},
            "exit_code": {"type": "integer"},
        },
        "required": ["code", "message", "hint", "exit_code"],
    }
    documents = [
        {
            "properties": {
                "format": {"const": JSON_FORMAT},
                "command": {"const": command},
                "result": references[(result, "serialization")],
                "error": error,
            },
            "required": ["format", "command"],
        }
        for command, result in results.items()
    ]
    unreadable = {
        "properties": {"format": {"const": JSON_FORMAT}, "command": {"const": ""}, "error": error},
        "required": ["format", "command", "error"],
    }
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "type": "object", "anyOf": [*documents, unreadable], "$defs": schema["$defs"]}
