"""The table of bad inputs: each is said with its file and line, and nothing of it ends the reading."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from bbj_desktop.core.errors import Cancelled, NotFoundError
from bbj_desktop.core.progress import Cancel
from trainer.data.decoding import MAX_RECORD_BYTES, MAX_SKIPPED_BYTES
from trainer.data.example import Example
from trainer.data.finding import Finding
from trainer.data.reading import read_examples

GOOD = b'{"instruction": "q", "output": "a"}\n'
CHAT = b'{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n'
MATTER = b"---\ntitle: T\ntype: explanation\ngeneration: all\n---\n\n## Explanation\n\nWords.\n"


def read(*paths: Path) -> tuple[list[Example], list[Finding]]:
    found: list[Finding] = []
    return list(read_examples(paths, found.append)), found


# name: content; lines "n code message" that must be found, and how many examples
TABLE: dict[str, tuple[str, bytes, int, list[tuple[int, str, str]]]] = {
    "half a JSON line": (
        "x.jsonl",
        GOOD + GOOD[:18] + b"\n" + GOOD,
        2,
        [(2, "broken-json", "Unterminated string starting at (column 17)")],
    ),
    "half a last line": ("x.jsonl", GOOD + CHAT[:-9], 1, [(2, "broken-json", "Not valid JSON")]),
    "an array that ends too soon": (
        "x.json",
        b"[\n" + GOOD + b",\n" + GOOD[:12],
        1,
        [(4, "broken-json", "Not valid JSON")],
    ),
    "an array of other things": (
        "x.json",
        b'[1, "two", [3], ' + GOOD + b"]",
        1,
        [
            (1, "not-an-example", "A JSON int"),
            (1, "not-an-example", "A JSON str"),
            (1, "not-an-example", "A JSON list"),
        ],
    ),
    "an empty array": ("x.json", b"[ ]", 0, []),
    "NaN": ("x.jsonl", b'{"output": "a", "n": NaN}\n', 0, [(1, "broken-json", "NaN isn't JSON")]),
    "a number of 5,000 digits": ("x.jsonl", b'{"n": ' + b"9" * 5000 + b"}\n", 0, [(1, "broken-json", "limit")]),
    "brackets without end": ("x.jsonl", GOOD + b"[" * 100_000 + b"\n", 1, [(2, "broken-json", "nested too deeply")]),
    "a nested array": ("x.json", b"[" * 100_000, 0, [(1, "broken-json", "nested too deeply")]),
    "a key twice": (
        "x.jsonl",
        b'{"instruction": "q", "output": "a", "output": "b"}\n',
        1,
        [(1, "duplicate-key", "'output' is there twice; the last one counts")],
    ),
    "half a character": (
        "x.jsonl",
        b'{"instruction": "\\ud800", "output": "a"}\n' + GOOD,
        1,
        [(1, "wrong-value", "instruction: Value error, half a character")],
    ),
    "NUL bytes in a line": ("x.jsonl", GOOD + b'{"output": "\0"}\n', 1, [(2, "broken-json", "NUL bytes")]),
    "nothing but NUL bytes": ("x.jsonl", bytes(5000), 0, [(1, "nul-bytes", "no text; not read")]),
    "NUL bytes in Markdown": ("x.md", MATTER + b"\0", 1, [(10, "nul-bytes", "There are NUL bytes in the text.")]),
    "a line of 40 MB": (
        "x.jsonl",
        GOOD + b'{"output": "' + b"x" * 40_000_000 + b'"}\n' + GOOD,
        2,
        [(2, "too-long", "The line has 40,000,015 bytes; the longest that is read has 4,194,304 bytes.")],
    ),
    "Markdown of 5 MB": ("x.md", MATTER + b"x" * 5_000_000, 0, [(0, "too-long", "Longer than 4,194,304 bytes")]),
    "an empty file": ("x.jsonl", b" \n", 0, [(0, "empty-file", "The file is empty.")]),
    "an object that is none": ("x.jsonl", b'{"a": 1}\n', 0, [(1, "not-an-example", "(its keys: a)")]),
    "a text that is a number": ("x.jsonl", b'{"output": 7}\n', 0, [(1, "wrong-value", "output is 7, not a text.")]),
    "a type that doesn't exist": (
        "x.jsonl",
        b'{"type": "poem", "generation": ["swing"], "output": "a"}\n',
        1,
        [(1, "wrong-label", "'poem' is no type."), (1, "wrong-label", "['swing'] is no generation.")],
    ),
    "half a character in a label": (
        "x.jsonl",
        b'{"type": ["\\ud800"], "output": "a"}\n',
        1,
        [(1, "wrong-label", "['\\ud800'] is no type.")],
    ),
    "two outputs": (
        "x.jsonl",
        b'{"output": "a", "completion": "b"}\n',
        1,
        [(1, "two-values", "both output and completion; output is used.")],
    ),
    "an id twice": (
        "x.jsonl",
        b'{"id": "i", "output": "a"}\n{"id": "i", "output": "b"}\n',
        2,
        [(2, "duplicate-id", "The id 'i' is used twice; this example is called 'i~2'.")],
    ),
    "messages that are none": (
        "x.jsonl",
        b'{"messages": "hello"}\n{"messages": [{"role": "user"}]}\n{"messages": []}\n',
        0,
        [
            (1, "wrong-value", "messages is 'hello', not a list"),
            (2, "wrong-value", "The content of message 1 is None"),
            (3, "wrong-value", "messages is []"),
        ],
    ),
    "wrong roles": (
        "x.jsonl",
        b'{"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "q"}]}\n',
        1,
        [(1, "wrong-roles", "The roles are assistant, user.")],
    ),
    "Windows-1252": (
        "x.jsonl",
        GOOD + '{"output": "für 5 €"}\n'.encode("cp1252"),
        2,
        [(2, "wrong-encoding", "Not UTF-8; it was read as windows-1252.")],
    ),
    "an array in Latin-1": (
        "x.json",
        '[{"output": "für"}]'.encode("latin-1"),
        1,
        [(1, "wrong-encoding", "iso-8859-1")],
    ),
    "UTF-16": ("x.jsonl", GOOD.decode().encode("utf-16"), 1, [(0, "wrong-encoding", "In UTF-16, not UTF-8")]),
    "half UTF-16": ("x.jsonl", b"\xff\xfe{\0x", 0, [(0, "wrong-encoding", "goes on as something else")]),
    "a byte-order mark": ("x.jsonl", b"\xef\xbb\xbf" + GOOD, 1, [(0, "byte-order-mark", "")]),
    "CR LF in Markdown": ("x.md", MATTER.replace(b"\n", b"\r\n"), 1, [(1, "crlf", "read as LF")]),
    "CR LF in lines": ("x.jsonl", GOOD.replace(b"\n", b"\r\n") + CHAT, 2, []),
    "broken YAML": (
        "x.md",
        MATTER.replace(b"type: explanation", b"type: [explanation"),
        0,
        [(4, "broken-front-matter", "Broken YAML: expected ',' or ']', but got ':'.")],
    ),
    "YAML with a tab": (
        "x.md",
        b"---\ntitle: T\n\ttype: x\n---\n",
        0,
        [(3, "broken-front-matter", "cannot start any token")],
    ),
    "YAML with too many brackets": (
        "x.md",
        b"---\n" + b"a: " + b"[" * 201 + b"\n---\n",
        0,
        [(2, "broken-front-matter", "more than 200 opening brackets")],
    ),
    "a YAML bomb": (
        "x.md",
        b"---\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n---\n",
        0,
        [(3, "broken-front-matter", "b is neither a text nor a list of texts.")],
    ),
    "a YAML key twice": (
        "x.md",
        b"---\ntitle: T\ntitle: U\n---\n",
        0,
        [(3, "broken-front-matter", "The key title is there twice.")],
    ),
    "front matter without end": ("x.md", b"---\ntitle: T\n", 0, [(1, "broken-front-matter", "has no end")]),
    "an unknown key": (
        "x.md",
        MATTER.replace(b"type", b"colour: red\ntype", 1),
        1,
        [(3, "unknown-key", "no key 'colour'")],
    ),
    "missing keys": (
        "x.md",
        b"---\ntitle: T\n---\n\n## Code\n\n```bbj\na\n```\n",
        1,
        [(1, "missing-key", "lacks type."), (1, "missing-key", "lacks generation.")],
    ),
    "a fence without end": (
        "x.md",
        MATTER + b"\n## Code\n\n```bbj\na\n",
        1,
        [(13, "unclosed-fence", "never closed")],
    ),
    "an unknown section": ("x.md", MATTER + b"\n## Notes\n\nx\n", 1, [(11, "unknown-section", "no section 'Notes'")]),
    "no section": ("x.md", MATTER[: MATTER.index(b"##")], 1, [(1, "missing-section", "neither code nor")]),
    "a tokenised program": ("x.bbj", b"<<bbj>>\x00\x01", 0, [(0, "not-training-data", "tokenised")]),
    "some other file": ("x.txt", b"Hello", 0, [(0, "not-training-data", "Of no known format; not read.")]),
}


@pytest.mark.parametrize("case", TABLE)
def test_what_is_wrong_is_said_with_its_line(case: str, tmp_path: Path) -> None:
    name, content, count, expected = TABLE[case]
    path = tmp_path / f"ein Ördner {name}"
    path.write_bytes(content)
    examples, found = read(path)
    assert len(examples) == count
    assert [(each.line, each.code) for each in found if each.code != "unknown-key" or name == "x.md"] == [
        (line, code) for line, code, _ in expected
    ]
    assert all(message in each.message for each, (_, _, message) in zip(found, expected, strict=False))
    assert {each.file for each in found} <= {str(path)}


def test_the_documented_table_is_this_one(tmp_path: Path) -> None:
    documented = (Path(__file__).parents[2] / "docs" / "training-data.md").read_text(encoding="utf-8")
    for case, (name, content, _, _) in TABLE.items():
        path = tmp_path / name
        path.write_bytes(content)
        for each in read(path)[1]:
            if each.code != "unknown-key" or name == "x.md":
                row = f"| {case} | {each.line or ''} | {each.severity} | `{each.code}` | {each.message} |"
                assert row in documented


def test_a_sparse_file_of_2_gb_is_given_up_early(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with path.open("wb") as file:
        file.write(GOOD)
        file.truncate(2 * 2**30)
    examples, found = read(path)
    assert len(examples) == 1
    assert [(each.line, each.code) for each in found] == [(2, "too-long")]
    assert "The rest of the file wasn't read." in found[0].message


@pytest.mark.parametrize(("name", "head"), [("x.md", MATTER), ("x.json", b"[\n" + GOOD + b","), ("x.jsonl", b"")])
def test_a_sparse_file_of_2_gb_isnt_held_in_memory(name: str, head: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(head)
        file.truncate(2 * 2**30)
    tracemalloc.start()
    try:
        _, found = read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found
    assert peak < 12 * MAX_RECORD_BYTES < MAX_SKIPPED_BYTES


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    assert [each.code for each in read(tmp_path)[1]] == ["empty-folder"]


def test_a_place_that_isnt_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file or folder"):
        read(tmp_path / "nowhere")


def _loop(folder: Path) -> None:
    (folder / "loop").symlink_to(folder, target_is_directory=True)


def _self(folder: Path) -> None:
    (folder / "self").symlink_to(folder / "self")


def _dangling(folder: Path) -> None:
    (folder / "gone").symlink_to(folder / "nowhere")


def _twin(folder: Path) -> None:
    (folder / "twin.jsonl").symlink_to(folder / "good.jsonl")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe.jsonl")


@pytest.mark.skipif(os.name == "nt", reason="needs links and pipes as POSIX has them")
@pytest.mark.parametrize(
    ("make", "code"),
    [
        (_loop, "seen-before"),
        (_self, "link-loop"),
        (_dangling, "dangling-link"),
        (_twin, "seen-before"),
        (_pipe, "not-a-file"),
    ],
)
def test_links_and_pipes_end_nothing(make: Callable[[Path], None], code: str, tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_bytes(GOOD)
    make(tmp_path)
    examples, found = read(tmp_path)
    assert (len(examples), [each.code for each in found]) == (1, [code])


def test_an_unreadable_file_is_said_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_bytes(GOOD)
    secret = tmp_path / "secret.jsonl"
    secret.write_bytes(GOOD)
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        pytest.skip("needs a user whom permissions bind (not root, not Windows)")
    examples, found = read(tmp_path)
    assert (len(examples), [each.code for each in found]) == (1, ["unreadable"])
    assert "Permission denied" in found[0].message


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
def test_a_file_whose_reading_fails_is_said() -> None:
    examples, found = read(Path("/proc/self/mem"))
    assert (examples, [each.code for each in found]) == ([], ["unreadable"])


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_many_examples_are_never_held_at_once(name: str, tmp_path: Path) -> None:
    row = json.dumps({"instruction": "q", "output": "x" * 4000})
    rows = (row.replace("q", f"q{number}", 1) for number in range(2000))
    text = "[\n" + ",\n".join(rows) + "\n]" if name == "x.json" else "\n".join(rows)
    (tmp_path / name).write_text(text)
    del text
    tracemalloc.start()
    try:
        count = sum(1 for _ in read_examples([tmp_path], lambda _: None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 2000
    assert peak < 4 * 2**20 < (tmp_path / name).stat().st_size


def test_hidden_files_and_sidecars_arent_read(tmp_path: Path) -> None:
    for name in (".hidden.jsonl", "x.jsonl.sidecar.jsonl", "sidecar.jsonl", "x.jsonl"):
        (tmp_path / name).write_bytes(GOOD if name != "x.jsonl.sidecar.jsonl" else b'{"format":1,"kind":"k"}')
    assert [Path(each.source.file).name for each in read(tmp_path)[0]] == ["x.jsonl"]


def test_formats_may_be_mixed_in_a_folder_and_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(GOOD + CHAT)
    (tmp_path / "b").write_bytes(MATTER)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "d.txt").write_text(json.dumps([{"prefix": "p", "completion": "c"}], indent=2))
    examples, found = read(tmp_path)
    assert [(each.source.format, each.source.line, each.type) for each in examples] == [
        ("json", 1, "unknown"),
        ("chatml", 2, "unknown"),
        ("markdown", 1, "explanation"),
        ("json", 2, "completion"),
    ]
    assert found == []


def test_a_reading_can_be_stopped(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(GOOD)
    cancel = Cancel()
    cancel.cancel()
    with pytest.raises(Cancelled):
        list(read_examples([tmp_path], lambda _: None, cancel=cancel))
