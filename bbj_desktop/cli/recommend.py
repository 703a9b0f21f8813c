"""``recommend``."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from bbj_desktop.actions import explaining, machine, recommending
from bbj_desktop.actions.recommending import Recommended
from bbj_desktop.cli.describe import ROLE_NAMES, candidate_table, machine_line, show_candidate, show_reasons
from bbj_desktop.cli.results.recommending import CandidateView, RecommendResult, RoleView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.cli.trusting import with_registry
from bbj_desktop.core.explaining import Explained
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import Role


def recommend(session: Session) -> Outcome:
    """What this machine, or that of a saved profile, should get."""
    arguments = session.arguments
    profile = machine.read_profile(Path(arguments.profile)) if arguments.profile else None
    if arguments.save_profile:
        profile = profile or session.work(lambda _report, _cancel: machine.detect(session.context))
        machine.save_profile(profile, Path(arguments.save_profile))
        session.screen.message(f"The profile is in {arguments.save_profile}.")
    wishes = wishes_of(session)
    wishes = wishes.model_copy(update={"concurrency": max(wishes.concurrency, arguments.concurrency)})
    found = with_registry(
        session,
        lambda: session.work(
            lambda report, cancel: recommending.recommend(session.context, wishes, report, cancel, profile=profile)
        ),
    )
    result = _result(found, session.settings.values.channel)
    if arguments.explain:
        result = _explained(session, found, result, here=profile is None)
    return Outcome(result, lambda screen: _show(screen, result, every=arguments.all, here=not arguments.profile))


def wishes_of(session: Session) -> Wishes:
    """The wishes that flags and settings express."""
    arguments: Namespace = session.arguments
    values = session.settings.values
    return Wishes(
        roles=(Role(arguments.role),) if arguments.role else (Role.CHAT, Role.FIM),
        size=arguments.size and arguments.size.lower(),
        quantisation=arguments.quantisation and arguments.quantisation.upper(),
        context_length=values.context_length,
        runtime=None if values.runtime == "auto" else values.runtime,
        concurrency=values.ollama_users,
    )


def _result(found: Recommended, channel: str) -> RecommendResult:
    recommendation = found.recommendation
    return RecommendResult(
        registry=found.offering.registry,
        channel=channel,
        tier=recommendation.tier,
        roles=tuple(
            RoleView(
                role=role.role,
                choice=CandidateView.of(role.choice) if role.choice is not None else None,
                reasons=role.reasons,
                others=tuple(CandidateView.of(other) for other in role.others),
            )
            for role in recommendation.choices
        ),
        remarks=recommendation.remarks,
        profile=found.profile,
        runtimes=found.runtimes,
    )


def _explained(session: Session, found: Recommended, result: RecommendResult, *, here: bool) -> RecommendResult:
    """``here``: it is this machine, whose engines can be asked for the way into them."""
    wishes = wishes_of(session)
    ways = explaining.explain(session.context, found, wishes, here=here)
    roles = tuple(role.model_copy(update={"explanation": ways.get(role.role, ())}) for role in result.roles)
    return result.model_copy(update={"roles": roles})


def _show(screen: Screen, result: RecommendResult, *, every: bool, here: bool) -> None:
    """``here``: it is this machine's, so that it can be installed."""
    screen.line(f"Machine: {machine_line(result.profile)}")
    tier = f"{result.tier.title}: {result.tier.audience}" if result.tier else "below Minimum"
    screen.line(f"Tier: {tier}")
    show_reasons(screen, result.remarks)
    for role in result.roles:
        screen.line()
        name = ROLE_NAMES[role.role]
        if role.choice is None:
            screen.line(f"{name}: nothing", "bold")
            show_reasons(screen, role.reasons)
        else:
            show_candidate(screen, role.choice, name)
            _show_way(screen, role.explanation)
    _show_others(screen, result, every=every)
    if here and any(role.choice for role in result.roles):
        screen.line()
        screen.line("Install it: bbj-desktop install")


def _show_way(screen: Screen, explanation: Sequence[Explained]) -> None:
    """What each step rests on stands in front of it."""
    if explanation:
        screen.line()
        screen.line("  The way to it", "bold")
    for each in explanation:
        screen.line(f"  {each.about.capitalize()} ({each.basis.value}): {each.text}")


def _show_others(screen: Screen, result: RecommendResult, *, every: bool) -> None:
    """Every other variant when asked for, or when nothing is recommended: then it shows what there is."""
    others = [other for role in result.roles if every or role.choice is None for other in role.others]
    if others:
        screen.line()
        screen.line("Also offered", "bold")
        candidate_table(screen, others)
