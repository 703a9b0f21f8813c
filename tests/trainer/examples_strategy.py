"""Any example, with the texts that make formats stumble."""

from __future__ import annotations

from hypothesis import strategies as st

from trainer.data.example import DIFFICULTIES, GENERATIONS, TYPES, Example, Message

AWKWARD = [
    "",
    "\n",
    "print 1\n",
    "\n\n    indented",
    "a\r\nb\r\n",
    "a\rb",
    "```bbj\nprint 1\n```",
    "```\nno language\n```",
    "```bbj\nnever closed",
    "````\n```\n````",
    "---",
    "## Code",
    "## Explanation\n\nx",
    "### After (dwc)\n\ny",
    "<!-- filename: a.bbj -->\n```bbj\nA\n```",
    "rem literal \\n",
    '"quoted" : [{',
    "24.10",
    "null",
    "\x00",
    "\x85\u2028",
    "\ufeffä😀",
    "# comment",
    "- item",
    "  blanks  ",
]
texts = st.one_of(st.sampled_from(AWKWARD), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
generations = st.one_of(
    st.sampled_from(["all", "mixed", "unknown"]), st.lists(st.sampled_from(GENERATIONS), min_size=1, unique=True)
)


def examples() -> st.SearchStrategy[Example]:
    """Examples in fields and in chats, labelled or not."""
    common = {
        "type": st.sampled_from([*TYPES, "unknown"]),
        "generation": generations,
        "difficulty": st.sampled_from([*DIFFICULTIES, "unknown"]),
        "title": texts,
        "instruction": texts,
        "output": texts,
        "explanation": texts,
        "expected": texts,
        "expected_kind": st.sampled_from(["behavior", "output"]),
        "system": texts,
        "tags": st.lists(texts, max_size=2),
        "requires_version": texts,
        "from_generation": generations,
        "to_generation": generations,
        "origin": st.sampled_from(["curated", "synthetic", "field"]),
        "review": st.sampled_from(["unreviewed", "accepted", "rejected"]),
        "extra": st.dictionaries(texts, st.one_of(texts, st.integers(), st.none(), st.lists(texts)), max_size=2),
    }
    fields = st.builds(Example.of, form=st.just("fields"), input=texts, **common)
    message = st.builds(Message, role=st.sampled_from(["system", "user", "assistant", "tool"]), content=texts)
    chats = st.builds(Example.of, form=st.just("chat"), turns=st.lists(message, max_size=3), **common)
    return st.one_of(fields, chats)
