"""A Pygments lexer for BBj: all four generations, programs with line numbers, and mnemonics.

Registered as ``bbj``: ``pygmentize -l bbj program.bbj`` works wherever this package is installed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from pygments.lexer import ExtendedRegexLexer, Lexer, LexerContext, RegexLexer, bygroups, include, words
from pygments.token import (
    Comment,
    Error,
    Keyword,
    Name,
    Number,
    Operator,
    Punctuation,
    String,
    Text,
    Whitespace,
    _TokenType,
)
from pygments.util import ClassNotFound

_BLOCKS = (
    "class", "classend", "interface", "interfaceend", "method", "methodend", "methodret", "if", "then", "else",
    "fi", "endif", "while", "wend", "for", "to", "step", "next", "repeat", "until", "switch", "case", "default",
    "swend", "def", "fnend", "return", "break", "continue",
)  # fmt: skip
_MODIFIERS = ("public", "private", "protected", "static", "field", "declare", "auto", "use")
_VERBS = (
    "addr", "begin", "call", "clear", "clipclear", "close", "clrtrace", "data", "delete", "dim", "direct", "disable",
    "drop", "dump", "dread", "enable", "end", "endtrace", "enter", "erase", "escape", "escoff", "escon", "execute",
    "exit", "exitto", "extract", "extractrecord", "file", "find", "findrecord", "floatingpoint", "gosub", "goto",
    "indexed", "initfile", "input", "inputrecord", "inpute", "inputn", "iolist", "keyedfile", "xkeyed", "let", "list",
    "load", "lock", "merge", "mkdir", "mkeyed", "on", "open", "precision", "prefix", "print", "process_events",
    "read", "readrecord", "release", "remove", "rename", "renum", "reset", "restore", "retry", "rmdir", "round",
    "run", "save", "savep", "serial", "setday", "setdrive", "seterr", "setesc", "settime", "settrace", "setopts",
    "setterm", "start", "stop", "string", "strobject", "sort", "sqlclose", "sqlexec", "sqlopen", "sqlprep", "sqlset",
    "sysvar", "throw", "unlock", "vkeyed", "wait", "write", "writerecord",
)  # fmt: skip
_OPTIONS = ("err", "end", "dom", "key", "knum", "dir", "ind", "tim", "siz", "len", "sel", "rec", "isz", "mode")
_FUNCTIONS = (
    "abs", "adjn", "and", "argc", "argv", "asc", "ath", "atn", "atr", "background", "bin", "bsz", "cast", "chr", "chn",
    "cos", "cpl", "crc", "crc16", "ctl", "ctrl", "cvs", "cvt", "date", "day", "dec", "decrypt", "dims", "dir", "dsk",
    "dsz", "encrypt", "env", "epoch", "err", "errmes", "exp", "fattr", "fbin", "fdec", "fid", "fill", "fin", "fpt",
    "gap", "hash", "hsa", "hsh", "hta", "hex", "imp", "info", "int", "ior", "jul", "key", "keyf", "keyl", "keyn",
    "keyp", "lcheckin", "lcheckout", "len", "log", "lrc", "lst", "mask", "max", "memavail", "min", "mod", "msg",
    "msgbox", "ndir", "neval", "nfield", "not", "notice", "num", "opts", "pad", "pck", "pds", "pgm", "pid", "pos",
    "prm", "pub", "rdlc", "reserve", "rev", "rnd", "round", "sendmsg", "seval", "sgn", "sin", "sqlchn", "sqlerr",
    "sqlfetch", "sqllist", "sqltables", "sqltmpl", "sqlunt", "sqr", "ssn", "ssz", "stbl", "str", "sub", "swap", "sys",
    "tcb", "thread_no", "tim", "tmpl", "tsk", "upk", "unt", "winfirst", "winget", "xfid", "xfin", "xor", "bbjapi",
    "null", "this",
)  # fmt: skip


class BBjLexer(RegexLexer):
    """BBj, and what came before it: character programs, Visual PRO/5, the graphical objects and DWC."""

    name = "BBj"
    url = "https://basis.cloud"
    aliases: ClassVar = ["bbj", "businessbasic", "business-basic", "vpro5"]
    filenames: ClassVar = ["*.bbj", "*.bbjt", "*.bbl", "*.src", "*.bbx"]
    mimetypes: ClassVar = ["text/x-bbj"]
    flags = re.IGNORECASE | re.MULTILINE

    tokens: ClassVar[dict[str, list[Any]]] = {
        "root": [
            (r"\s+", Whitespace),
            (r"^(\d+)(?=\s|$)", Name.Label),  # an old program's line number
            (r"^(\s*)([a-z_]\w*)(:)(?!:)", bygroups(Whitespace, Name.Label, Punctuation)),
            (r"/@@", String.Doc, "documentation"),
            (r"\brem(?![\w!$%@(.])[^\n]*", Comment.Single),
            include("values"),
            (r"\b(class|interface|extends|implements)(\s+)", bygroups(Keyword.Declaration, Whitespace), "type name"),
            (r"\b(method)(\s+)", bygroups(Keyword.Declaration, Whitespace), "method"),
            (r"\b(use)(\s+)([\w.]+)", bygroups(Keyword.Namespace, Whitespace, Name.Namespace)),
            (words(_MODIFIERS, prefix=r"\b", suffix=r"\b(?![!$%@(])"), Keyword.Declaration),
            (r"\b(and|or|not|mod)\b(?![!$%@(])", Operator.Word),
            (r"\bnew\b(?=\s+[\w:])", Keyword),
            (words(_BLOCKS, prefix=r"\b", suffix=r"\b(?![!$%@])"), Keyword),
            (rf"\b({'|'.join(_OPTIONS)})(\s*)(=)", bygroups(Name.Attribute, Whitespace, Operator)),
            (r"\b(fn\w+[$%!]?)(?=\s*\()", Name.Function),
            (rf"\b(?:{'|'.join(_FUNCTIONS)})\$?(?=\s*\()", Name.Builtin),
            (words(_VERBS, prefix=r"\b", suffix=r"\b(?![!$%@])"), Keyword),
            include("names"),
            (r"<>|<=|>=|=>|=<|[-+*/^=<>]|@(?=\()", Operator),  # @(column,row) places what is printed
            (r"[()\[\]{},;:.?&]", Punctuation),
            (r".", Error),
        ],
        "values": [
            (r'"(?:[^"\n]|"")*"', String.Double),
            (r"\$[0-9a-f]*\$", String.Other),  # hexadecimal
            (r"'[a-z0-9+/-][^'\n]*'", String.Symbol),  # a mnemonic such as 'CS' or 'BOX'
            (r"(::)([^:\n\"]+)(::)(\w+)", bygroups(Punctuation, String.Other, Punctuation, Name.Class)),
            (r"\d+(?:\.\d*)?(?:e[-+]?\d+)?|\.\d+", Number),
        ],
        "names": [
            (r"(\.)(\w+)(?=\s*\()", bygroups(Punctuation, Name.Function)),
            (r"(\.)(\w+[!$%]?)", bygroups(Punctuation, Name.Attribute)),
            (r"#(?:this|super)!?", Name.Builtin.Pseudo),
            (r"#\w+[!$%@]?", Name.Variable.Instance),
            (r"\b\w+@", Name.Class),
            (r"\bBBj[a-z]\w*\b(?![!$%(])", Name.Class),
            (r"\b[a-z]\w*(?:\.\w+){2,}\b", Name.Namespace),  # a Java class by its whole name
            (r"[^\W\d]\w*[!$%]?", Name.Variable),
        ],
        "documentation": [
            (r"@@?/", String.Doc, "#pop"),
            (r"@\w+", String.Doc),
            (r"[^@]+|@", String.Doc),
        ],
        "type name": [
            (r"\s+", Whitespace),
            (words(_MODIFIERS, prefix=r"\b", suffix=r"\b"), Keyword.Declaration),
            (r"\w+", Name.Class, "#pop"),
            (r"", Whitespace, "#pop"),
        ],
        "method": [
            (r"[^\S\n]+", Whitespace),
            (words(_MODIFIERS, prefix=r"\b", suffix=r"\b"), Keyword.Declaration),
            (r"(\w+)(?=\s*\()", Name.Function, "#pop"),
            (r"::[^:\n]+::\w+|[\w.]+[@!$%]?(?:\[\])?", Name.Class),
            (r"", Whitespace, "#pop"),
        ],
    }

    @staticmethod
    def analyse_text(text: str) -> float:
        """How much a text looks like BBj; other BASICs have none of these."""
        signs = (
            r"\bBBjAPI\(\)",
            r"^\s*methodend\b",
            r"\bclassend\b",
            r"\bprocess_events\b",
            r"\(sysgui\)",
            r"\bwend\b",
        )
        return min(1.0, sum(0.4 for sign in signs if re.search(sign, text, re.IGNORECASE | re.MULTILINE)))


def lexer_for(language: str) -> Lexer | None:
    """The lexer for a fence's language; BBj's for none. None when nobody knows the language."""
    from pygments.lexers import get_lexer_by_name

    if not language or language in BBjLexer.aliases:
        return BBjLexer()
    try:
        return get_lexer_by_name(language)
    except ClassNotFound:
        return None


Stack = tuple[str, ...]
"""What a lexer remembers at the end of a line, e.g. that a comment goes on."""

AT_START: Stack = ("root",)


class LineLexer:
    """Lexes code line by line, so that what has been coloured stays coloured while more arrives.

    Languages whose lexer can't be stopped within a text are lexed each line for itself.
    """

    def __init__(self, lexer: Lexer) -> None:
        self._lexer = lexer
        self._resumable = type(lexer).get_tokens_unprocessed is RegexLexer.get_tokens_unprocessed

    def tokens(self, line: str, stack: Stack = AT_START) -> tuple[Sequence[tuple[_TokenType, str]], Stack]:
        """The line's tokens and what to remember for the next line.

        Args:
            line: Without its line break.
            stack: What was remembered of the line before.
        """
        if self._resumable:
            try:
                return self._resumed(line, stack)
            except TypeError:  # a callback of this lexer that was written without a context
                self._resumable = False
        tokens = [(kind, text) for _, kind, text in self._lexer.get_tokens_unprocessed(line)]
        whole = "".join(text for _, text in tokens) == line  # some make nothing of a line without its end
        return tokens if whole else [(Text, line)], AT_START

    def _resumed(self, line: str, stack: Stack) -> tuple[Sequence[tuple[_TokenType, str]], Stack]:
        context = LexerContext(f"{line}\n", 0, list(stack))
        resumed = ExtendedRegexLexer.get_tokens_unprocessed(self._lexer, context=context)  # type: ignore[arg-type]
        tokens = [(kind, text.rstrip("\n")) for _, kind, text in resumed]
        return [(kind, text) for kind, text in tokens if text], tuple(context.stack)
