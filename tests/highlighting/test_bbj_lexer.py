"""Colours for BBj: what each word is taken for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename, guess_lexer
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String, _TokenType

from bbj_desktop.core.fences import fences
from bbj_desktop.core.highlighting import AT_START, BBjLexer, LineLexer, lexer_for

CHARACTER = """0010 REM "an old program"
0020 BEGIN
0030 PRINT 'CS',@(10,5),"Say ""hi"" now",$0A1E$,$$
0040 INPUT (0,ERR=0900)@(0,0),NAME$
0050 LET A%=INT(1.5E3),B$=STR(A%:"###0")
"""
GRAPHICAL = """use java.util.HashMap
use ::path/my file.bbj::MyClass
/@@
 * Opens a window. @param title
@/
class public Foo extends Bar
  field private BBjTopLevelWindow win!
  method public void go(BBjButton b!, BBjString s$)
    #win! = #this!.getWin()
    if len(s$)>0 then print "x" else print "y"; rem tail
    w! = BBjAPI().openSysGui("X0").addWindow(10,10,200,100,"Ä ü")
    v! = new java.util.ArrayList()
  methodend
classend
myLabel:
  def fnsq(x)=x*x
  print (sysgui)'WINDOW'(1,2,3)
  process_events, err=*next
"""


def kinds(code: str) -> dict[str, _TokenType]:
    return {text.strip(): kind for kind, text in BBjLexer().get_tokens(code) if text.strip()}


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("0010", Name.Label),
        ('REM "an old program"', Comment.Single),
        ("PRINT", Keyword),
        ("'CS'", String.Symbol),
        ("@", Operator),
        ('"Say ""hi"" now"', String.Double),
        ("$0A1E$", String.Other),
        ("$$", String.Other),
        ("ERR", Name.Attribute),
        ("NAME$", Name.Variable),
        ("A%", Name.Variable),
        ("INT", Name.Builtin),
        ("1.5E3", Number),
    ],
)
def test_a_character_program(word: str, kind: _TokenType) -> None:
    assert kinds(CHARACTER)[word] is kind


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("java.util.HashMap", Name.Namespace),
        ("path/my file.bbj", String.Other),
        ("MyClass", Name.Class),
        ("@param", String.Doc),
        ("Foo", Name.Class),
        ("Bar", Name.Class),
        ("field", Keyword.Declaration),
        ("BBjTopLevelWindow", Name.Class),
        ("go", Name.Function),
        ("BBjString", Name.Class),
        ("#win!", Name.Variable.Instance),
        ("#this!", Name.Builtin.Pseudo),
        ("getWin", Name.Function),
        ("then", Keyword),
        ("rem tail", Comment.Single),
        ("BBjAPI", Name.Builtin),
        ('"Ä ü"', String.Double),
        ("new", Keyword),
        ("classend", Keyword),
        ("myLabel", Name.Label),
        ("fnsq", Name.Function),
        ("'WINDOW'", String.Symbol),
        ("process_events", Keyword),
    ],
)
def test_an_object_oriented_program(word: str, kind: _TokenType) -> None:
    assert kinds(GRAPHICAL)[word] is kind


@pytest.mark.parametrize("code", [CHARACTER, GRAPHICAL])
def test_nothing_of_a_right_program_is_an_error(code: str) -> None:
    assert [text for kind, text in BBjLexer().get_tokens(code) if kind is Error] == []


@pytest.mark.parametrize("name", ["for!", "print$", "end%", "list!", "remark", "rem$"])
def test_a_keyword_with_a_sigil_or_a_tail_is_a_name(name: str) -> None:
    assert kinds(f"x = {name}")[name] is Name.Variable


def test_an_unclosed_string_ends_with_its_line() -> None:
    assert kinds('print "open\nwend')["wend"] is Keyword


def test_keywords_are_known_in_any_case() -> None:
    assert kinds("WhIlE x\nWEND")["WhIlE"] is Keyword


@given(st.text(alphabet="abremifx!$%#@'\":./@ \n0123(),=Ä", max_size=80))
def test_no_text_is_lost_or_stops_it(text: str) -> None:
    assert "".join(value for _, value in BBjLexer(stripnl=False, ensurenl=False).get_tokens(text)) == text


@pytest.mark.parametrize("name", ["bbj", "vpro5"])
def test_pygments_knows_it_by_name(name: str) -> None:
    assert get_lexer_by_name(name).name == "BBj"


@pytest.mark.parametrize("file", ["a.bbj", "b.bbjt", "c.bbl", "d.src", "e.bbx"])
def test_pygments_knows_it_by_file_name(file: str) -> None:
    assert get_lexer_for_filename(file).name == "BBj"


def test_pygments_recognises_it() -> None:
    assert guess_lexer(GRAPHICAL).name == "BBj"


@pytest.mark.parametrize(("language", "name"), [("", "BBj"), ("bbj", "BBj"), ("java", "Java")])
def test_a_fence_names_the_lexer(language: str, name: str) -> None:
    lexer = lexer_for(language)
    assert lexer is not None
    assert lexer.name == name


SAMPLES = Path(__file__).parents[2] / "resources" / "training" / "samples"


@pytest.mark.parametrize("generation", ["all", "character", "vpro5", "bbj-gui", "dwc"])
def test_line_by_line_a_program_has_the_colours_of_the_whole_and_no_errors(generation: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (SAMPLES / generation).rglob("*.md")]
    blocks = [each.code for text in texts for each in fences(text) if each.language == "bbj"]
    assert len(blocks) > 9
    for code in blocks:
        whole = [
            (letter, kind)
            for kind, text in BBjLexer(stripnl=False, ensurenl=False).get_tokens(code)
            for letter in text
            if not letter.isspace()
        ]
        lexer, stack, letters = LineLexer(BBjLexer()), AT_START, []
        for line in code.split("\n"):
            tokens, stack = lexer.tokens(line, stack)
            letters += [(letter, kind) for kind, text in tokens for letter in text if not letter.isspace()]
        assert letters == whole
        assert not [letter for letter, kind in letters if kind is Error]


@pytest.mark.parametrize("language", ["bbj", "python", "java", "yaml", "json", "console", "php", "markdown", "html"])
@given(lines=st.lists(st.text(alphabet="ab'\"/*<>{}#:`$ \t", max_size=20), max_size=6))
def test_no_language_loses_text_line_by_line(language: str, lines: list[str]) -> None:
    found = lexer_for(language)
    assert found is not None
    lexer, stack = LineLexer(found), AT_START
    for line in lines:
        tokens, stack = lexer.tokens(line, stack)
        assert "".join(text for _, text in tokens) == line


@pytest.mark.parametrize(
    "text", ['"', "'", "$", "::", "/@@", "'a", "a.", "class ", "method a", "use ", "\t\n", "0010 ", "x(", "err "]
)
def test_odd_text_is_lexed_in_linear_time(text: str) -> None:
    """A lexer that went over it again and again would take minutes."""
    assert sum(len(value) for _, value in BBjLexer(stripnl=False, ensurenl=False).get_tokens(text * 20_000))


def test_a_language_that_nobody_knows_has_no_lexer() -> None:
    assert lexer_for("klingon-7") is None
