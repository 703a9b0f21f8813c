"""Blocks of BBj code: what is right isn't complained of, what is wrong is, once."""

from __future__ import annotations

import pytest

from trainer.data.checks.blocks import check, imbalances
from trainer.data.checks.code_shape import looks_like_code
from trainer.data.example import Example

WHOLE = [
    'if a=1 then print "x"',
    "if a=1 then\nprint 1\nfi",
    "if a\n b=1\nelse\n b=2\nendif",
    "10 for i=1 to 3\n20 print i\n30 next i",
    "for i=1 to 3; print i; next i",
    "class public X\n  method public void a()\n   if x then methodret 1\n  methodend\nclassend",
    "interface public X\n method public void a()\n method public void b()\ninterfaceend",
    "def fna(x)=x*2",
    "def fna(x)\n return x\nfnend",
    'rem while\nprint "while"',
    "while 1; print 1; wend",
    "while x\nif y then break\nwend",
    "repeat\n x=x+1\nuntil x>3",
    'switch x\ncase 1; print "a"; break\ncase default; break\nswend',
    "if a then b=1 else b=2 fi",
    "if a then b=1; c=2; fi",
    "if a then\n b=1\nelse if c then\n d=1\nendif",
    "if a then\n b=1\nelse if c then\n d=1\nendif\nendif",
    "/@@ if while\nclass @/\nx=1",
    'print "a",\n: "while"',
    'for! = 3\nwhile!=3\nnext$="3"',
    "if x goto 100",
    "read(1,end=*break)\nx=1",
    "loop: while 1\nwend",
    "if a then b=1\nelse b=2\nendif",
    "fi!=null()",
    'dim x$[3]\nx$[1]="rem"; while x$>""; x$=""; wend',
    "if (a=1) and (b=2)\n x=1\nfi",
    "IF A=1 THEN GOTO 100 ELSE GOSUB 200",
    "print (1)'CS'; while 1\nwend",
    "if err then exitto lbl",
    "for i=0 to x!.size()-1\n y=1\nnext",
    "next_x=3\nwhile_x=4\nif_a=3",
    "rem don't while\nx=1 ; rem if a then",
    "if x then if y then z=1",
    "if x then for i=1 to 3; next i",
    "method public void x()\nmethodend",
    'if a$="" then a$=$0A$; goto x',
    'if pos("x"=a$) then\nx=1\nendif',
    "until_x=3",
    "class!=x!.getClass()",
    "switch a; case 1; b=1; break; swend",
    "if x then next i",
    "if a then \nb=1 \nendif ; rem x",
    "while a ; rem b\nwend",
    "if a then rem nothing\n",
    "if x then\n\tprint 'CS'\nfi",
    "print x ; if y then\nz=1\nfi",
]
BROKEN = [
    ("while 1\nprint 1", "line 1: while without wend"),
    ("wend", "line 1: wend without while"),
    ("if a then\nb=1", "line 1: if without fi"),
    ("fi", "line 1: fi without if"),
    ("class public X\nmethod public void a()\nclassend", "line 2: method without methodend"),
    ("for i=1 to 3\nprint i", "line 1: for without next"),
    ("next i", "line 1: next without for"),
    ("methodend", "line 1: methodend without method"),
    ("def fna(x)\nreturn 1", "line 1: def without fnend"),
    ("switch x\ncase 1", "line 1: switch without swend"),
    ("repeat\nx=1", "line 1: repeat without until"),
    ("until x", "line 1: until without repeat"),
    ("if a then\nwhile b\nfi", "line 2: while without wend"),
    ("interface public X", "line 1: interface without interfaceend"),
    ("classend", "line 1: classend without class"),
    ("if a\n b=1", "line 1: if without fi"),
    ("if a then\nb=1\nelse\nb=2", "line 1: if without fi"),
    ("swend", "line 1: swend without switch"),
    ("10 WHILE 1\n20 PRINT", "line 1: while without wend"),
    ("if a then\nb=1\nfi\nfi", "line 4: fi without if"),
]
CODE = [
    'print "a"',
    "x=1\ny=2",
    '10 PRINT "A"\n20 GOTO 10',
    "rem hello\nfor i=1 to 3\nprint i\nnext i",
    'window!=sysgui!.addWindow(1,2,3,4,"x")\nprocess_events',
    'open (1)"x"\nread (1,end=done)a$\ndone:\nclose (1)',
    "class public A\nmethod public void b()\nmethodend\nclassend",
]
WORDS = [
    "Use PRINT.",
    "Field 20 holds the weight of luggage.",
    "While the handler runs nobody reads events.",
    "Yes",
    "print the value = 3 of the variable",
    "The answer is x=3.",
    "Read the file first, then close it.",
    "Case matters here",
    "If x=1 then y is two.",
    "42",
    "",
]


@pytest.mark.parametrize("code", WHOLE)
def test_whole_blocks_are_no_problem(code: str) -> None:
    assert imbalances(code) == []
    assert imbalances(code.upper()) == []


@pytest.mark.parametrize(("code", "message"), BROKEN)
def test_a_broken_block_is_said_with_its_line(code: str, message: str) -> None:
    assert [each.message for each in imbalances(code)] == [message]


@pytest.mark.parametrize("completion", ["\nwend", "wend", "  print x\nwend"])
def test_a_completion_is_looked_at_with_its_prefix(completion: str) -> None:
    example = Example.of(type="completion", input="while x<3\n  x=x+1", output=completion)
    assert list(check(example)) == []


def test_a_completion_may_go_on_within_a_line() -> None:
    assert list(check(Example.of(type="completion", input="whi", output="le x\nwend"))) == []


def test_a_completion_that_leaves_a_block_open_is_wrong() -> None:
    (problem,) = check(Example.of(type="completion", input="while x<3", output="x=x+1"))
    assert problem.message == "Blocks of the whole code: line 1: while without wend."


def test_code_of_other_languages_isnt_looked_at() -> None:
    answer = "```java\nwhile (x) {\n}\n```"
    assert list(check(Example.of(form="chat", type="completion", instruction="Q", output=answer))) == []


@pytest.mark.parametrize("text", CODE)
def test_code_without_fences_is_recognised(text: str) -> None:
    assert looks_like_code(text)


@pytest.mark.parametrize("text", WORDS)
def test_words_arent_taken_for_code(text: str) -> None:
    assert not looks_like_code(text)
