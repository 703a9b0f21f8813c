"""``verify`` and ``repair``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bbj_desktop.actions import repairing, versions
from bbj_desktop.actions.serving_bytes import Bytes, Verified
from bbj_desktop.cli.naming import find_installed
from bbj_desktop.cli.results.versions import PromptView, RepairResult, VerifyResult
from bbj_desktop.cli.results.views import VersionView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.release import Role
from bbj_desktop.core.units import format_bytes, format_seconds
from bbj_desktop.core.versions import PromptCheck
from bbj_desktop.services.runtime.ollama_drift import Drift

EXIT_DRIFT = 1
EXIT_AS_NAMED = 22


def verify(session: Session) -> Outcome:
    """Compares a version's file with what was signed."""
    key = _key(session)
    done = session.work(lambda report, cancel: versions.verify(session.context, key, report, cancel))
    digest = done.version.variant.file.digest
    drift = versions.drift_of(session.context, done.version)
    result = VerifyResult(
        version=VersionView.of(done.version),
        digest=digest,
        drift=drift,
        files=done.files,
        served=done.served,
        prompts=tuple(PromptView(runtime=each.runtime, check=each.prompt_check) for each in done.version.registrations),
    )
    code = EXIT_AS_NAMED if result.files is Bytes.AS_NAMED else 0
    return Outcome(result, lambda screen: _show_verified(screen, done, drift), EXIT_DRIFT if drift else code)


def _show_verified(screen: Screen, done: Verified, drift: Sequence[Drift]) -> None:
    variant, key = done.version.variant, done.version.key
    length = format_bytes(variant.length_bytes)
    digests = " and ".join(part.file.digest for part in variant.parts)
    if done.files is Bytes.AS_NAMED:
        screen.line(f"{key} is as named by Ollama, and not verified: its files can't be read here. {length}, {digests}")
    else:
        screen.line(f"{key} is as it was signed: {length}, {digests}")
        if done.served is Bytes.AS_NAMED:
            screen.line("Ollama answers from a copy of its own that can't be read here: that is as named by Ollama.")
    if done.version.release.role is not Role.FIM:  # it is given its prompts as they are
        for each in done.version.registrations:
            screen.line(_PROMPTS[each.prompt_check].format(runtime=_NAMES.get(each.runtime, each.runtime)))
    show_drift(screen, drift, hint=True)


_NAMES: Mapping[str, str] = {"ollama": "Ollama", "embedded": "the embedded engine"}
_PROMPTS: Mapping[PromptCheck | None, str] = {
    PromptCheck.EQUAL: "The prompt that {runtime} makes was compared with the training's: it is the same.",
    PromptCheck.NOT_SHOWN: "The prompt wasn't compared with the training's: {runtime} doesn't show it.",
    PromptCheck.NO_EXAMPLE: "The prompt wasn't compared with the training's: the release names no example.",
    PromptCheck.FAILED: "The prompt wasn't compared with the training's: {runtime} couldn't be asked at that time.",
    None: "The prompt that {runtime} makes wasn't compared with the training's.",
}


def show_drift(screen: Screen, drift: Sequence[Drift], *, hint: bool) -> None:
    """One line for each name that isn't as it was registered, and what to type."""
    for each in drift:
        screen.line(each.text, "yellow")
    for key in dict.fromkeys(each.version for each in drift if each.mendable) if hint else ():
        screen.line(f"To put it right: bbj-desktop repair {key}")


def repair(session: Session) -> Outcome:
    """Fetches what of a version's file is damaged."""
    key = _key(session)
    done = session.work(lambda report, cancel: repairing.repair(session.context, key, report, cancel))
    result = RepairResult(
        version=VersionView.of(done.version),
        damaged_bytes=done.damaged_bytes,
        fetched_bytes=done.fetched_bytes,
        seconds=done.seconds,
        mended=done.mended,
        files=done.files,
    )
    said = frozenset(session.remarks)
    code = EXIT_AS_NAMED if result.files is Bytes.AS_NAMED else 0
    return Outcome(result, lambda screen: _show(screen, result, said), code)


def _show(screen: Screen, result: RepairResult, said: frozenset[str]) -> None:
    """Shows the end of a repair.

    Args:
        said: What was said while it was mended, which isn't said again.
    """
    if result.damaged_bytes or result.fetched_bytes:
        fetched = f"{format_bytes(result.fetched_bytes)} fetched in {format_seconds(result.seconds)}"
        screen.line(f"{result.version.key} is mended: {format_bytes(result.damaged_bytes)} were damaged, {fetched}.")
    elif result.files is Bytes.AS_NAMED:
        screen.line(f"Nothing of {result.version.key} was fetched.")
    else:
        screen.line(f"{result.version.key} is as it was signed; nothing was fetched.")
    if result.files is Bytes.AS_NAMED:
        screen.line(f"{result.version.key} is as named by Ollama, and not verified: its files can't be read here.")
    show_drift(screen, [each for each in result.mended if each.text not in said], hint=False)
    if any(each.mendable for each in result.mended):
        screen.line("Ollama has it again as it was registered.")


def _key(session: Session) -> str:
    return find_installed(versions.list_versions(session.context), session.arguments.version).key
