"""``install``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bbj_desktop.actions import installing, recommending
from bbj_desktop.actions.installing import Installed, InstallPlan
from bbj_desktop.actions.recommending import Recommended
from bbj_desktop.actions.space import STORE
from bbj_desktop.cli.describe import ROLE_NAMES, show_candidate
from bbj_desktop.cli.naming import parse_name
from bbj_desktop.cli.ollama import offer_ollama
from bbj_desktop.cli.recommend import wishes_of
from bbj_desktop.cli.results.installing import InstalledView, InstallResult, PlanView
from bbj_desktop.cli.results.recommending import CandidateView
from bbj_desktop.cli.results.views import VersionView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.cli.trusting import with_registry
from bbj_desktop.core.errors import DoesNotFitError, NotFoundError, UserInputError
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.recommendation import Candidate, Wishes
from bbj_desktop.core.release import Offering, Role
from bbj_desktop.core.units import format_bytes, format_seconds
from bbj_desktop.core.versions import model_name


def install(session: Session) -> Outcome:
    """Installs what is named, or what this machine is recommended."""
    arguments = session.arguments
    wishes = [_parse(text, session) for text in arguments.model] or [_wishes(session, arguments.version)]
    offer_ollama(session)
    plans = with_registry(session, lambda: session.work(partial(_plan, session, wishes)))
    if arguments.dry_run:
        result = InstallResult(plans=tuple(map(plan_view, plans)), remarks=tuple(session.remarks))
        return Outcome(result, lambda screen: _show_plans(screen, plans, explain=arguments.explain))
    _show_plans(Beside(session.screen), plans, explain=arguments.explain)
    _refuse(plans, force=arguments.force)
    session.confirm_if_interactive("Install it?" if len(plans) == 1 else "Install them?")
    installed = session.work(partial(_install, session, plans))
    result = InstallResult(
        plans=tuple(map(plan_view, plans)),
        installed=tuple(map(installed_view, installed)),
        remarks=tuple(session.remarks),
    )
    return Outcome(result, lambda screen: show_installed(screen, result.installed))


def plan_view(plan: InstallPlan) -> PlanView:
    return PlanView(
        candidate=CandidateView.of(plan.candidate),
        to_fetch_bytes=plan.to_fetch_bytes,
        here_bytes=plan.here_bytes,
        disk_bytes=plan.disk_bytes,
        free_bytes=plan.free_bytes,
        folder=plan.folder,
        refusals=plan.refusals,
        needs=plan.needs,
        ownership=plan.ownership,
        by_ollama=plan.by_ollama,
        mirrors=plan.named,
    )


def installed_view(installed: Installed) -> InstalledView:
    return InstalledView(
        version=VersionView.of(installed.version),
        fetched_bytes=installed.fetched_bytes,
        seconds=installed.seconds,
        already=installed.already,
    )


def show_installed(screen: Screen, installed: Sequence[InstalledView]) -> None:
    for each in installed:
        runtimes = " and ".join(each.version.runtimes) or "no runtime yet"
        if each.already:
            screen.line(f"{each.version.key} is here already, verified, and known to {runtimes}.")
        else:
            fetched = f"{format_bytes(each.fetched_bytes)} fetched in {format_seconds(each.seconds)}"
            screen.line(f"{each.version.key} is installed: {fetched}, every byte verified, known to {runtimes}.")
    if any(each.version.release.role is Role.CHAT for each in installed):
        screen.line("Talk to it: bbj-desktop chat")


def _wishes(session: Session, version: str | None) -> Wishes:
    return wishes_of(session).model_copy(update={"version": version})


def _parse(text: str, session: Session) -> Wishes:
    """What one MODEL of the command line asks for; options fill in what it leaves open."""
    wishes = _wishes(session, session.arguments.version)
    return wishes.model_copy(update=parse_name(text).given)


def _plan(session: Session, wishes: Sequence[Wishes], report: Report, cancel: Cancel) -> tuple[InstallPlan, ...]:
    plans: list[InstallPlan] = []
    for each in wishes:
        found = recommending.recommend(session.context, _without_choice(each), report, cancel)
        candidates = _candidates(found, each, force=session.arguments.force)
        plans.extend(installing.plan_install(session.context, candidate, cancel) for candidate in candidates)
    return tuple(plans)


def _without_choice(wishes: Wishes) -> Wishes:
    """The recommendation is made among everything; the choice is then judged on its own, with its reasons."""
    return wishes.model_copy(update={"model": None, "size": None, "quantisation": None})


def _candidates(found: Recommended, wishes: Wishes, *, force: bool) -> list[Candidate]:
    """What is to be installed: the choice, or each role's recommendation."""
    if (wishes.model, wishes.size, wishes.quantisation, wishes.version) != (None, None, None, None):
        return [recommending.choose(found, _with_role(found.offering, wishes))]
    recommended = [role.choice for role in found.recommendation.choices if role.choice is not None]
    if not recommended and force and not found.away:
        raise UserInputError("Nothing is recommended here.", hint="Say what to install: install SIZE --force")
    return recommended or [recommending.choose(found, wishes)]


def _with_role(offering: Offering, wishes: Wishes) -> Wishes:
    """Settles which role is meant: the name may say it (``bbj-coder-fim``); else the first one that is offered."""
    for role in wishes.roles:
        for offer in offering.offers:
            release = offer.release
            named = wishes.model in (None, release.model, model_name(release))
            if named and release.role is role and wishes.size in (None, release.size):
                return wishes.model_copy(update={"roles": (role,), "model": release.model})
    offered = ", ".join(sorted({f"{model_name(each.release)}:{each.release.size}" for each in offering.offers}))
    raise NotFoundError("The registry offers no such model.", hint=f"It offers: {offered or 'nothing yet'}.")


def _refuse(plans: Sequence[InstallPlan], *, force: bool) -> None:
    """The same refusal as the install's own, before the question whether to install."""
    for plan in plans:
        if plan.refusals and not force:
            raise DoesNotFitError(
                f"{plan.key} would not run here: {' '.join(plan.refusals)}",
                hint="Choose what bbj-desktop recommend names, or add --force to install it all the same.",
            )


def _install(session: Session, plans: Sequence[InstallPlan], report: Report, cancel: Cancel) -> tuple[Installed, ...]:
    force = session.arguments.force
    return tuple(installing.install(session.context, plan, report, cancel, force=force) for plan in plans)


def bytes_of(plan: InstallPlan) -> str:
    """What it will really fetch, for a person."""
    here = f", {format_bytes(plan.here_bytes)} are here already" if plan.here_bytes else ""
    return f"{format_bytes(plan.to_fetch_bytes)} to fetch{here}"


def _show_plans(screen: Screen, plans: Sequence[InstallPlan], *, explain: bool) -> None:
    for plan in plans:
        show_candidate(screen, CandidateView.of(plan.candidate), ROLE_NAMES[plan.candidate.release.role])
        screen.line(f"  {bytes_of(plan)}; {format_bytes(plan.free_bytes)} are free in {plan.folder}")
        for need in plan.needs:
            if need.path != plan.folder or need.purpose != STORE:
                needed = f"{format_bytes(need.bytes)} are needed at the peak on the volume of {need.path}"
                screen.line(f"  {needed} for {need.purpose}; {format_bytes(need.free_bytes)} are free there")
        for name in plan.by_ollama:
            screen.line(
                f"  Ollama fetches {format_bytes(plan.to_fetch_bytes)} itself, as {name}; else our mirrors are asked"
            )
        for mirror in plan.named if explain else ():
            screen.line(f"    {'by Ollama' if mirror.taken else 'not by Ollama'} from {mirror.name}: {mirror.reason}")
        if plan.ownership is not None:
            screen.line(f"  {plan.ownership.reason}")
            for reason in plan.ownership.routes if explain else ():
                screen.line(f"    {reason}")


class Beside(Screen):
    """A screen whose lines are messages: a plan is told beside the result, which is what was installed."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(as_json=screen.json, verbose=screen.verbose)

    def line(self, text: str = "", style: str = "") -> None:
        self.message(text, style)
