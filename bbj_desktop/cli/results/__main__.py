"""Prints the schema: ``python -m bbj_desktop.cli.results``."""

from __future__ import annotations

import json

from bbj_desktop.cli.results.schema import command_schemas

if __name__ == "__main__":
    print(json.dumps(command_schemas(), indent=1))
