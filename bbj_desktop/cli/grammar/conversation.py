"""Asking models, reporting what they answered, and editors."""

from __future__ import annotations

from bbj_desktop.cli.grammar.commands import Commands, number


def declare_conversation(commands: Commands) -> None:
    chat = commands.add(
        "chat",
        "chat:chat",
        "talk to the installed model",
        description="Talks to the installed model. Ctrl-C stops an answer; /reset begins anew, /quit or the end of "
        "input ends,\n/help tells more. When the context is full it asks whether to leave out the oldest questions.\n"
        "With --json each line of the input is a question and each answer one line of JSON.",
    )
    chat.add_argument(
        "--drop-oldest",
        action="store_true",
        help="when the context is full leave out the oldest questions without asking, and say so",
    )
    ask = commands.add("ask", "chat:ask", "ask one question, for scripts; the question may come from stdin")
    ask.add_argument("question", nargs="*", metavar="QUESTION", help="the question; none, or -, reads stdin")
    complete = commands.add(
        "complete",
        "complete:complete",
        "let a completion model fill in what belongs at the cursor",
        description="Lets a completion model fill in what belongs between a prefix and a suffix. Without files it\n"
        "reads stdin, which has a mark where the cursor is. What is too long for the context is left out far from it.",
    )
    complete.add_argument("--prefix-file", metavar="FILE", help="what stands before the cursor")
    complete.add_argument("--suffix-file", metavar="FILE", help="what stands behind it")
    complete.add_argument("--cursor", default="<CURSOR>", metavar="MARK", help="the mark in stdin (default <CURSOR>)")
    for parser in (chat, ask, complete):
        active = "completion" if parser is complete else "chat"
        parser.add_argument(
            "--model", metavar="VERSION", help=f"an installed version; default: the active {active} model"
        )
        parser.add_argument("--seed", type=number(int, 0, 2**31 - 1), metavar="N", help="makes the answer repeatable")
        parser.add_argument(
            "--max-tokens", type=number(int, 1, 2**20), metavar="N", help="ends the answer after so many tokens"
        )
        parser.add_argument(
            "--temperature", type=number(float, 0, 2), metavar="T", help="0 … 2; default: the release's"
        )
    for parser in (chat, ask):
        parser.add_argument("--check", action="store_true", help="compile the answer's BBj, where there is a compiler")
        parser.add_argument(
            "--mend", action="store_true", help="and ask the model to mend what doesn't compile, up to three times"
        )
    report = commands.add(
        "report",
        "reporting:report",
        "write a failed answer down for the makers, redacted; nothing is sent",
        description="Writes a question, the answer that failed, what the compiler says of it and, if you have it, the\n"
        "right code into a Markdown file without secrets, names, machines and folders. You see it first, and you hand\n"
        "it on yourself.",
    )
    report.add_argument("file", metavar="FILE", help="the report, a new file, e.g. report.md")
    report.add_argument("--question", required=True, metavar="TEXT", help="what was asked")
    report.add_argument("--answer", required=True, metavar="FILE", help="the answer; - reads stdin")
    report.add_argument("--correction", metavar="FILE", help="the right code")
    report.add_argument(
        "--generation",
        choices=("all", "character", "vpro5", "bbj-gui", "dwc"),
        default="all",
        help="the BBj generation it is about (default all)",
    )


def declare_editors(commands: Commands) -> None:
    ide = commands.group("ide", "bring installed models into an editor")
    shown = ide.add("show", "ide:show", "show the addresses, and Continue's configuration")
    applied = ide.add("apply", "ide:apply", "put the models into Continue's config.yaml; the rest of it stays")
    applied.add_argument("--dry-run", action="store_true", help="only show what would change")
    for parser in (shown, applied):
        parser.add_argument("--file", metavar="FILE", help="another config.yaml than ~/.continue/config.yaml")
        parser.add_argument("--show-key", action="store_true", help="print the gateway's key, not bbj-…, in its place")
    ide.add("undo", "ide:undo", "take the last change of that file back")
    ide.add("test", "ide:test", "ask the models as an IDE would, and show what works")
    mcp = commands.add("mcp", "mcp:mcp", "serve BBj tools to clients of the Model Context Protocol")
    mcp.add_argument("--http", type=number(int, 1, 65535), metavar="PORT", help="on this loopback port, not on stdio")
    mcp.add_argument("--model", metavar="VERSION", help="an installed version; default: the active chat model")
