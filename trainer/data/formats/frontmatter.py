"""YAML front matter. Scalars stay the texts that they are in the file: ``requires_version: 24.10`` isn't 24.1."""

from __future__ import annotations

import io

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bbj_desktop.core.errors import FormatError

MAX_FRONT_MATTER = 64 * 1024  # characters
MAX_BRACKETS = 200  # opening ones; the time that the scanner takes grows with the square of their depth
_NULL = "tag:yaml.org,2002:null"

Value = str | list[str] | None


class FrontMatterError(FormatError):
    """It can't be read.

    Attributes:
        line: Where, its first line being 1.
    """

    def __init__(self, message: str, *, line: int) -> None:
        super().__init__(message, hint="Correct the YAML between the two lines of three hyphens.")
        self.line = line


def load(text: str) -> dict[str, tuple[Value, int]]:
    """Keys with their values and lines.

    Only texts and lists of texts are read, so nothing expands: an alias costs nothing.

    Args:
        text: The YAML alone.

    Raises:
        FrontMatterError: No YAML, or another shape than keys with texts and lists of texts.
    """
    if len(text) > MAX_FRONT_MATTER:
        raise FrontMatterError(f"The front matter is longer than {MAX_FRONT_MATTER} characters.", line=1)
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise FrontMatterError(f"The front matter has more than {MAX_BRACKETS} opening brackets.", line=1)
    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise FrontMatterError(f"Broken YAML: {error.problem or error.context}.", line=line) from error
    except (YAMLError, ValueError) as error:
        raise FrontMatterError(f"Broken YAML: {str(error).splitlines()[0]}.", line=1) from error
    if not isinstance(root, MappingNode):
        raise FrontMatterError("The front matter has no keys.", line=1)
    found: dict[str, tuple[Value, int]] = {}
    for key, value in root.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            raise FrontMatterError("A key isn't a text.", line=line)
        if key.value in found:
            raise FrontMatterError(f"The key {key.value} is there twice.", line=line)
        found[key.value] = (_value(key.value, value), line)
    return found


def dump(values: dict[str, str | list[str]]) -> str:
    """The YAML for keys with texts and lists of texts, in their order."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 2**20  # characters: a text on one line
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # typed None, means bool
    stream = io.StringIO()
    yaml.dump(values, stream)
    return stream.getvalue()


def _value(key: str, node: Node) -> Value:
    if isinstance(node, ScalarNode):
        return None if node.tag == _NULL else str(node.value)
    if isinstance(node, SequenceNode) and all(isinstance(each, ScalarNode) for each in node.value):
        return [str(each.value) for each in node.value]
    raise FrontMatterError(f"{key} is neither a text nor a list of texts.", line=node.start_mark.line + 1)
