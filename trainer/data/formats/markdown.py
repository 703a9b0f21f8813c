"""Markdown with YAML front matter, one example a file.

Sections: ``## Code``, ``## Expected Behavior`` or ``## Expected Output``, ``## Explanation``. In the code of a
migration ``### Before (…)`` and ``### After (…)``; in that of a completion ``### Prefix`` and ``### Completion``, where
without them all the code is the completion. The answer of comprehensions and explanations is the explanation."""

from __future__ import annotations

import re
from typing import Any

from bbj_desktop.core.fences import fenced, fences, has_fence
from trainer.data.example import CODE_TYPES, Example
from trainer.data.formats import frontmatter
from trainer.data.formats.parsed import Parsed, shown

REQUIRED = ("title", "type", "generation")
KEYS = (*REQUIRED, "difficulty", "tags", "description", "requires_version", "from_generation", "to_generation")
MAX_TITLE = 80  # characters of a title that is made from the instruction

_PAIRS = {"migration": ("Before", "After"), "completion": ("Prefix", "Completion")}
_HEADING = re.compile(r"^(?P<level>#{2,3})[ \t]+(?P<title>.*?)[ \t#]*$")
_MARK = re.compile(r"^---[ \t]*$")


def with_plain_line_breaks(text: str) -> str:
    """The text as ``parse`` takes it: line breaks of Windows become those of everybody else."""
    return text.replace("\r\n", "\n")


def looks_like(text: str) -> bool:
    """Whether a text begins with front matter."""
    return _MARK.match(text.split("\n", 1)[0].rstrip("\r")) is not None


def parse(text: str) -> Parsed:
    """Reads a file's text, see ``with_plain_line_breaks``."""
    parsed = Parsed()
    lines = text.split("\n")
    end = next((number for number, line in enumerate(lines[1:], start=1) if _MARK.match(line)), 0)
    if not end:
        parsed.say("broken-front-matter", "error", "The front matter has no end.", "End it with a line of ---.")
        return parsed
    try:
        matter = frontmatter.load("\n".join(lines[1:end]))
    except frontmatter.FrontMatterError as error:
        parsed.say("broken-front-matter", "error", error.message, error.hint, error.line + 1)
        return parsed
    fields = _from_matter(matter, parsed)
    _from_body("\n".join(lines[end + 1 :]), end + 1, fields, parsed)
    parsed.fields = fields
    return parsed


def dump(example: Example) -> str:
    """The file for an example; what it has no place for is left out."""
    matter: dict[str, str | list[str]] = {"title": example.title or _title(example.instruction)}
    matter["type"] = example.type
    matter["generation"] = example.generation[0] if len(example.generation) == 1 else list(example.generation)
    if example.difficulty != "unknown":
        matter["difficulty"] = example.difficulty
    if example.tags:
        matter["tags"] = list(example.tags)
    texts = {"description": example.instruction, "requires_version": example.requires_version}
    matter.update({key: value for key, value in texts.items() if value})
    for key, labels in (("from_generation", example.from_generation), ("to_generation", example.to_generation)):
        if labels != ("unknown",):
            matter[key] = labels[0] if len(labels) == 1 else list(labels)
    return f"---\n{frontmatter.dump(matter)}---\n\n" + "\n\n".join(_sections(example)) + "\n"


def why_not(example: Example) -> str:
    """Why an example can't be written in this format; empty when it can."""
    missing = [name for name in ("type", "generation") if getattr(example, name) in ("unknown", ("unknown",))]
    if example.generation == ("mixed",):
        return "Markdown has no generation mixed"
    if missing:
        return f"Markdown requires {' and '.join(missing)}"
    return "" if example.title or _title(example.instruction) else "Markdown requires a title"


def _from_matter(matter: dict[str, tuple[frontmatter.Value, int]], parsed: Parsed) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, (value, place) in matter.items():
        line = place + 1  # the first line is ---
        name = "instruction" if key == "description" else key
        wants_text = key in ("title", "description", "requires_version")
        if key not in KEYS:
            extra[key] = value
            parsed.say("unknown-key", "warning", f"The front matter has no key {shown(key)}.", "Remove it.", line)
        elif value is None:
            continue
        elif key == "tags":
            fields["tags"] = tuple(value if isinstance(value, list) else [value])
        elif wants_text and isinstance(value, list):
            extra[key] = value
            parsed.say("wrong-key", "error", f"{key} is a list, not a text.", "Write one text.", line)
        else:
            fields[name] = value
    for key in REQUIRED:
        if not fields.get(key):
            parsed.say("missing-key", "error", f"The front matter lacks {key}.", f"Add {key}: … to it.")
    return fields | {"extra": extra}


def _from_body(body: str, offset: int, fields: dict[str, Any], parsed: Parsed) -> None:
    sections = _split(body, 2)
    if unclosed := next((each for each in fences(body) if not each.closed), None):
        message = "A code fence is never closed; what follows counts as code."
        parsed.say("unclosed-fence", "error", message, "Close it with ```.", offset + unclosed.line)
    answer = "explanation" if str(fields.get("type", "")).strip().lower() in CODE_TYPES else "output"
    for title, text, line in sections:
        known = title.casefold()
        if known == "code":
            _take_code(text, fields)
        elif known in ("expected behavior", "expected output"):
            _take(fields, "expected", text)
            fields["expected_kind"] = known.split()[1]
        elif known == "explanation":
            _take(fields, answer, text)
        elif title or text:
            fields["extra"].setdefault("sections", {})[title] = text
            what = f"There is no section {shown(title)}" if title else "There is text before the first section"
            hint = "Sections are Code, Expected Behavior or Expected Output, and Explanation."
            parsed.say("unknown-section", "warning", f"{what}; it is kept, and not trained on.", hint, offset + line)
    if not any(title.casefold() in ("code", "explanation") for title, _, _ in sections):
        parsed.say("missing-section", "error", "There is neither code nor an explanation.", "Add ## Code.")


def _take_code(text: str, fields: dict[str, Any]) -> None:
    pair = _PAIRS.get(str(fields.get("type", "")).strip().lower())
    if pair is None:
        _take(fields, "input", _bare(text))
        return
    rest = []
    for title, content, _ in _split(text, 3):
        word, _, remark = title.partition("(")
        if (name := word.strip().capitalize()) in pair:
            _take(fields, "input" if name == pair[0] else "output", _bare(content))
            if remark:
                fields["extra"].setdefault("headings", {})[name] = title
        elif content or title:
            rest.append(f"### {title}\n\n{content}" if title else content)
    if rest:
        _take(fields, "output", _bare("\n\n".join(rest)))


def _take(fields: dict[str, Any], name: str, text: str) -> None:
    fields[name] = f"{fields[name]}\n\n{text}" if fields.get(name) else text


def _split(text: str, level: int) -> list[tuple[str, str, int]]:
    """Title, content and line of each part below a heading of that level; what is before the first has no title."""
    parts: list[tuple[str, list[str], int]] = [("", [], 1)]
    inside = {line for each in fences(text) for line in range(each.line, each.end + 1)}
    for number, line in enumerate(text.split("\n"), start=1):
        heading = None if number in inside else _HEADING.match(line)
        if heading and len(heading["level"]) == level:
            parts.append((heading["title"], [], number))
        else:
            parts[-1][1].append(line)
    named = [(title, _stripped(content), line) for title, content, line in parts]
    return [part for part in named if part[0] or part[1]]


def _stripped(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n")


def _bare(text: str) -> str:
    """The code alone, where the text is one fence of BBj and nothing else."""
    found = list(fences(text))
    return found[0].code if len(found) == 1 and text == fenced(found[0].code) and not has_fence(found[0].code) else text


def _sections(example: Example) -> list[str]:
    sections = []
    if code := _code(example):
        sections.append(f"## Code\n\n{code}")
    if example.expected:
        sections.append(f"## Expected {example.expected_kind.capitalize()}\n\n{example.expected}")
    words = example.explanation if example.type in CODE_TYPES else example.output
    if words:
        sections.append(f"## Explanation\n\n{words}")
    return sections


def _code(example: Example) -> str:
    pair = _PAIRS.get(example.type)
    if pair is None:
        return _fenced(example.input)
    if example.type == "completion" and not example.input:
        return _fenced(example.output)
    kept = example.extra.get("headings")
    headings = kept if isinstance(kept, dict) else {}
    parts = zip(pair, (example.input, example.output), strict=True)
    return "\n\n".join(f"### {headings.get(name, name)}\n\n{_fenced(code)}" for name, code in parts if code)


def _fenced(text: str) -> str:
    return text if not text or has_fence(text) else fenced(text)


def _title(instruction: str) -> str:
    line = instruction.strip().split("\n", 1)[0].strip()
    return line if len(line) <= MAX_TITLE else f"{line[: MAX_TITLE - 1].rstrip()}…"
