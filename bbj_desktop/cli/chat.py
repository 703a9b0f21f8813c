"""``chat`` and ``ask``."""

from __future__ import annotations

import re
import sys
from argparse import Namespace

from bbj_desktop.actions.chatting import Conversation, open_conversation
from bbj_desktop.actions.connected import connected_versions
from bbj_desktop.actions.versions import list_versions
from bbj_desktop.cli.checking import answer_checked
from bbj_desktop.cli.describe import statistics_line
from bbj_desktop.cli.naming import find_installed
from bbj_desktop.cli.ollama import offer_ollama
from bbj_desktop.cli.painting import Painter
from bbj_desktop.cli.results.answers import AskResult, ChatResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.budget import Room
from bbj_desktop.core.chat import Delta, Finished, Statistics
from bbj_desktop.core.errors import Cancelled, ContextFullError, EngineCrashedError, EngineError, UserInputError
from bbj_desktop.core.progress import Cancel

_TOKENS_OF_AN_END = 8
_FIRST_TURN = 2  # messages: the first question and its answer
_QUIT = frozenset({"/quit", "/exit", "/bye"})
_RESET = frozenset({"/reset", "/clear", "/new"})
_WORD = re.compile(r"/[a-z?]+( \d+)?")  # of ours; not /@@ nor a path
_HELP = (
    "/room  how much of the context is left\n"
    "/drop [N]  leave out the oldest question, or N of them, with their answers\n"
    "/reset  begin anew\n"
    "/quit  end; so does the end of input\n"
    "Ctrl-C stops an answer."
)


def ask(session: Session) -> Outcome:
    """One question, one answer. The answer alone goes to stdout, as it comes; its figures go to stderr."""
    question = _question(session)
    conversation = _open(session)
    result = _answer_as_wanted(session, conversation, question, session.interrupts.cancel)
    if result.statistics.stop_reason == "cancelled":
        if result.answer and not session.screen.json:
            session.screen.message(statistics_line(result.statistics), "dim")
        raise Cancelled
    session.interrupts.cancel.check()
    if not session.screen.json:
        session.screen.message(statistics_line(result.statistics), "dim")
        if conversation.remark:
            session.screen.message(conversation.remark, "yellow")
    return Outcome(result, lambda _screen: None)


def chat(session: Session) -> Outcome:
    """A conversation, line by line, until /quit or the end of input."""
    conversation = _open(session)
    screen = session.screen
    if session.interactive:
        screen.message(f"{conversation.version.release.title} ({conversation.version.key})", "bold")
        if conversation.version.release.notice:
            screen.message(conversation.version.release.notice, "yellow")
        screen.message(_room_line(conversation.room()), "dim")
        screen.message("Ctrl-C stops an answer. /reset begins anew, /quit ends, /help tells more.", "dim")
    answers = 0
    while (question := _next_question(session)) is not None:
        if _WORD.fullmatch(question):
            _obey(screen, conversation, question)
        elif question:
            answers += _turn(session, conversation, question)
    result = ChatResult(version=conversation.version.key, answers=answers)
    return Outcome(result, lambda _screen: None, one_line=True)


def _open(session: Session) -> Conversation:
    text = session.arguments.model
    here = (*list_versions(session.context), *connected_versions(session.context)) if text else ()
    key = find_installed(here, text).key if text else None
    offer_ollama(session)
    return open_conversation(session.context, key)


def _next_question(session: Session) -> str | None:
    """The next line without its end; None when the conversation is over."""
    try:
        line = session.ask("> " if session.interactive else "").strip()
    except Cancelled:  # Ctrl-C at the prompt, or the end of input
        if session.interactive:
            session.screen.message("")
        return None
    return None if line in _QUIT else line


def _obey(screen: Screen, conversation: Conversation, line: str) -> None:
    """What isn't a question."""
    word, _, number = line.partition(" ")
    if word in _RESET:
        conversation.reset()
        screen.message("A new conversation.", "dim")
    elif word == "/drop":
        left_out = conversation.leave_out(int(number or 1))
        screen.message(f"{_left_out(left_out)} {_room_line(conversation.room())}", "dim")
    elif word == "/room":
        screen.message(_room_line(conversation.room()), "dim")
    elif word in ("/help", "/?"):
        screen.message(_HELP)
    else:
        screen.message(f"There is no {word} here: it wasn't asked.\n{_HELP}", "yellow")


def _left_out(turns: int) -> str:
    if turns == 1:
        return "The oldest question was left out with its answer."
    return (
        f"The {turns} oldest questions were left out with their answers." if turns else "There is nothing to leave out."
    )


def _make_room(session: Session, conversation: Conversation, question: str) -> int:
    """Leaves out the oldest questions, as many as keep another one from its room, if that is wanted; says how many."""
    turns, room, screen = conversation.too_many(question), conversation.room(question), session.screen
    if not turns or not (session.interactive or session.arguments.drop_oldest):
        return 0
    if not session.arguments.drop_oldest:
        has = f"{'' if room.exact else 'about '}{room.prompt_tokens:,} tokens"
        screen.message(
            f"The context is full: with this question the conversation has {has}, and there is room for "
            f"{room.most_tokens:,}.",
            "yellow",
        )
        oldest = "oldest question with its answer" if turns == 1 else f"{turns} oldest questions with their answers"
        try:
            said = session.ask(f"Leave out the {oldest} and go on? [Y/n] ")
        except Cancelled:
            return 0
        if said.strip().lower() not in ("", "y", "yes"):
            return 0
    conversation.leave_out(turns)
    screen.message(_left_out(turns), "yellow")
    return turns


def _turn(session: Session, conversation: Conversation, question: str) -> int:
    """One question and its answer: 1, or 0 when the engine failed, after which the question can be asked again."""
    screen, before, left_out = session.screen, conversation.messages, 0
    while True:
        try:
            with session.interrupts.stoppable() as cancel:
                result = _answer_as_wanted(session, conversation, question, cancel)
            break
        except EngineError as error:
            too_long = isinstance(error, ContextFullError) and conversation.messages == before
            turns = _make_room(session, conversation, question) if too_long else 0
            before, left_out = conversation.messages, left_out + turns
            if turns:
                continue
            if not session.interactive:
                raise
            screen.message(error.message, "bold red")
            if error.hint:
                screen.message(error.hint)
            return 0
    if screen.json:
        screen.document("ask", one_line=True, result={**result.model_dump(mode="json"), "left_out": left_out})
    else:
        screen.message(statistics_line(result.statistics), "dim")
        if conversation.remark and len(conversation.messages) <= _FIRST_TURN:
            screen.message(conversation.remark, "yellow")
        if (room := conversation.room()).scarce:
            full = "The answer ends here because the context is full. " if _ended_full(result.statistics, room) else ""
            screen.message(f"{full}{_room_line(room)} /drop leaves out the oldest, /reset begins anew.", "yellow")
    return 1


def _ended_full(statistics: Statistics, room: Room) -> bool:
    """The answer was as long as the context let it; of the answer's end the template takes some tokens."""
    return statistics.stop_reason == "length" and room.left_tokens <= _TOKENS_OF_AN_END


def _room_line(room: Room) -> str:
    left = f"{room.left_tokens:,} of {room.context_length:,} tokens"
    return f"Room for {left}." if room.exact else f"Room for about {left} (estimated)."


def _answer_as_wanted(session: Session, conversation: Conversation, question: str, cancel: Cancel) -> AskResult:
    def ask(text: str) -> AskResult:
        return _answer(session, conversation, text, cancel)

    if session.arguments.check or session.arguments.mend:
        return answer_checked(session, question, ask, cancel)
    return ask(question)


def _answer(session: Session, conversation: Conversation, question: str, cancel: Cancel) -> AskResult:
    """Asks and, unless the result is JSON, prints the answer as it comes."""
    pieces: list[str] = []
    try:
        statistics = session.wait_for(
            lambda: _stream(session.screen, conversation, question, session.arguments, cancel, pieces)
        )
    finally:  # an error behind half an answer begins a line of its own
        if pieces and not session.screen.json:
            session.screen.write("\n")
    return AskResult(
        version=conversation.version.key,
        runtime=conversation.runtime.name,
        answer="".join(pieces),
        statistics=statistics,
    )


def _stream(
    screen: Screen,
    conversation: Conversation,
    question: str,
    arguments: Namespace,
    cancel: Cancel,
    pieces: list[str],
) -> Statistics:
    events = conversation.ask(
        question,
        cancel,
        seed=arguments.seed,
        max_tokens=arguments.max_tokens,
        temperature=arguments.temperature,
    )
    statistics: Statistics | None = None
    painter = Painter() if screen.coloured else None
    for event in events:
        if isinstance(event, Delta):
            pieces.append(event.text)
            if not screen.json:
                screen.write(painter.feed(event.text) if painter else event.text)
        elif isinstance(event, Finished):
            statistics = event.statistics
    if painter:
        screen.write(painter.finish())
    if statistics is None:
        raise EngineCrashedError("The engine ended in the middle of its answer.", hint="Ask again.")
    return statistics


def _question(session: Session) -> str:
    """The question from the arguments, or from stdin when there is none or it is ``-``."""
    words: list[str] = session.arguments.question
    text = " ".join(words)
    if text in ("", "-"):
        with session.interrupts.asking():
            text = sys.stdin.read()
    if not text.strip():
        raise UserInputError("There is no question.", hint='Type: bbj-desktop ask "…", or pipe it in.')
    return text.strip()
