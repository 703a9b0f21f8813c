"""Telling BBj code from words without fences."""

from __future__ import annotations

import re

from trainer.data.checks.statements import lines

_LEAST = 0.8  # share of lines that must look like code
_CODE = re.compile(
    r"^(?:(?:let\s+)?#?\w+[!$%@]?\s*(?:\[[^\]]*\]|\([^()]*\))?\s*=(?!=)"
    r"|(?:class|interface|method|field)\s+(?:public|private|protected|static)\b|declare\s+\S+(?:\s+\S+)?$|use\s+[\w.:/\"]*\w$"
    r"|(?:classend|interfaceend|methodend|methodret)\b"
    r"|(?:wend|fi|endif|swend|fnend|return|end|next|until|break|repeat|release|process_events|else)(?:\s+\w+|\s+[^\w\s].*)?$"
    r"|(?:print|input|open|read|write|close|find|extract|call|dim|seterr|on|mkeyed|erase|readrecord|writerecord|clear)"
    r"\s*(?:record\s*)?(?:\(|\"\"|@|[\w#]+[!$%]|[\w#]+$|[\w#]+\s*[,+])"
    r"|(?:if|while|switch)\b.*(?:[=<>()!$%]|\bthen\b)|for\s+\w+%?\s*=|goto\s+\w+$|gosub\s+\w+$|exit(?:to)?\b(?:\s+\w+)?$"
    r"|def\s+fn|case\s+(?:\"\"|\d+|default|\w+[$%!])\s*(?:;|$)|rem$|(?:#?\w+!|bbjapi\(\)|[\w.]+\(\))\s*\.\w+|#?\w+!?\.\w+\(|throw\s+\"\"|wait\s+\d|print$)"
)
_PROSE = re.compile(r"^(?!(?:class|interface|method|field)\s+p).*(?:\b[a-z]+,? ){3}[a-z]+")
_SENTENCE = re.compile(r"[a-z)\"][.:?!]$")


def looks_like_code(text: str) -> bool:
    """Whether a text without fences is BBj code and nothing else."""
    found = lines(text)
    if not found:
        return False
    like = sum(_CODE.match(each.text) is not None and not _is_prose(each.text) for each in found)
    return like >= _LEAST * len(found)


def _is_prose(text: str) -> bool:
    return _PROSE.match(text) is not None or (_SENTENCE.search(text) is not None and text.count(" ") > 1)
