"""Home: this machine, what it should get and why, and one button that does it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QHBoxLayout, QVBoxLayout, QWidget
from typing_extensions import override

from bbj_desktop.actions.installing import Installed
from bbj_desktop.actions.updating import Update
from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.core.progress import Cancel, Event, Report, Step
from bbj_desktop.core.recommendation import Candidate
from bbj_desktop.core.release import Role
from bbj_desktop.ui import theme
from bbj_desktop.ui.desk import Survey
from bbj_desktop.ui.models.home import (
    FirstStart,
    HomeState,
    Interrupted,
    Looking,
    NotAsked,
    NothingFits,
    OllamaStopped,
    Ready,
    ReadyToInstall,
    Unreachable,
    Wanted,
    completion_offer,
    home_state,
)
from bbj_desktop.ui.pages.base import Page, Surroundings, scroll_area
from bbj_desktop.ui.pages.first_start import FirstStartCard
from bbj_desktop.ui.pages.home_cards import (
    BusyCard,
    CompletionCard,
    InstallingCard,
    MachineCard,
    NotAskedCard,
    OfferCard,
    ReadyCard,
    StoppedCard,
    TextCard,
    UpdateCard,
    nothing_fits_card,
    notice_strip,
    reasons_text,
    why_card,
)
from bbj_desktop.ui.pages.ollama_cards import OllamaCard, StartedOllamaCard
from bbj_desktop.ui.tasks import Lane, Task
from bbj_desktop.ui.text import duration, model_title, translate
from bbj_desktop.ui.widgets.basics import Button, ElidedLabel, clear
from bbj_desktop.ui.widgets.error_panel import ErrorPanel

_JUST_NOW_S = 60


class HomePage(Page):
    """Renders ``home_state``; an install under way (or interrupted) takes the top card's place."""

    key = "home"
    icon = "home"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._install: Task[Event, object] | None = None
        self._wanted: Wanted | None = None
        self._interrupted: Interrupted | None = None
        self._settling = False  # installed; the survey that will show it is under way
        self._installing: InstallingCard | None = None
        self._latest: dict[type[Event], Event] = {}  # what the install under way said last
        self._paused = False
        self._ollama: Task[Event, None] | None = None  # a start or an end of Ollama under way
        self._ollama_error: BBjDesktopError | None = None
        self._ollama_settling = False
        self._busy: BusyCard | None = None
        self.source = ElidedLabel("", "small")
        self.refresh_button = Button(translate("Home", "Check again"), "link")
        self.refresh_button.clicked.connect(lambda: self.surroundings.situation.refresh(ask_registry=True))
        self.header.addWidget(self.source)
        self.header.addWidget(self.refresh_button)
        body = QWidget()
        self._cards = QVBoxLayout(body)
        self._cards.setSpacing(theme.L)
        self.scroll_view = scroll_area(body, self._cards)
        self.content.addWidget(self.scroll_view)
        surroundings.situation.changed.connect(self.render_state)
        surroundings.situation.step.connect(self._show_step)
        self.render_state()

    @classmethod
    @override
    def title(cls) -> str:
        return translate("Home", "Home")

    @property
    def installing(self) -> bool:
        return self._install is not None

    # -- what is shown ------------------------------------------------------------------------------------------------

    def render_state(self) -> None:
        """Shows the present state anew; a keyboard user keeps a focused button."""
        had_focus = (focused := QApplication.focusWidget()) is not None and self.isAncestorOf(focused)
        situation = self.surroundings.situation
        if self._settling and not situation.looking:
            self._install, self._wanted, self._settling = None, None, False
        if self._ollama_settling and not situation.looking:
            self._ollama, self._ollama_settling = None, False
        state = home_state(situation)
        clear(self._cards)
        self._busy, self._installing = None, None
        self._show_header(state, situation.survey)
        self._show_top(state)
        if situation.survey is not None and situation.error is not None:
            self._cards.addWidget(ErrorPanel(situation.error, [(translate("Home", "Try again"), self._look_again)]))
        if situation.survey is not None:
            self._show_details(state, situation.survey)
        self._cards.addStretch(1)
        if had_focus:
            QTimer.singleShot(0, self, self._focus_primary)  # what has just been added isn't visible yet

    def _show_header(self, state: HomeState, survey: Survey | None) -> None:
        self.title_label.setText(self._page_title(state))
        looking = self.surroundings.situation.looking
        self.source.say(source_text(survey) if survey and not looking else "")
        known = survey is not None and survey.registry is not None
        self.refresh_button.setVisible(known and not isinstance(state, NotAsked))
        asked = survey is not None and (survey.offering is not None or survey.trouble is not None)
        self.refresh_button.setText(translate("Home", "Check again") if asked else translate("Home", "Check now"))
        self.refresh_button.setEnabled(not looking and not self.installing)

    def _page_title(self, state: HomeState) -> str:
        if self._wanted is not None and self.installing:
            if self._paused:
                return translate("Home", "Installation paused")
            return translate("Home", "Installing {model}").format(model=self._wanted.title)
        if self._interrupted is not None:
            stopped = self._interrupted.kind == "stopped"
            return translate("Home", "Installation stopped") if stopped else translate("Home", "Not installed yet")
        return state_title(state)

    def _show_top(self, state: HomeState) -> None:
        if self.installing and self._wanted is not None:
            self._show_installing(self._wanted)
        elif self._interrupted is not None:
            self._show_interrupted(self._interrupted)
        else:
            self._show_state(state)

    def _show_state(self, state: HomeState) -> None:
        match state:
            case Looking():
                self._busy = BusyCard(self.surroundings.situation.doing)
                self._cards.addWidget(self._busy)
            case FirstStart():
                card = FirstStartCard(self.surroundings)
                card.trusted.connect(lambda: self.surroundings.situation.refresh(ask_registry=True))
                self._cards.addWidget(card)
            case Unreachable(error=error):
                again = (translate("Home", "Try again"), self._look_again)
                self._cards.addWidget(ErrorPanel(error, [again], primary=True))
            case NotAsked():
                not_asked = NotAskedCard(state)
                not_asked.check.connect(self._look_again)
                self._cards.addWidget(not_asked)
            case NothingFits():
                self._cards.addWidget(nothing_fits_card(state))
            case ReadyToInstall(candidate=candidate):
                offer = OfferCard(state)
                offer.install.connect(lambda: self.start_install(Wanted(candidate)))
                self._cards.addWidget(offer)
            case OllamaStopped(version=version):
                self._show_ollama(OllamaCard(state.ollama, version, primary=True))
            case Ready():
                self._show_ready(state)

    def _show_ready(self, state: Ready) -> None:
        if state.withdrawn:
            text = translate("Home", "The makers withdrew this version: {reason}").format(reason=state.withdrawn)
            self._cards.addWidget(notice_strip(text))
        card = ReadyCard(state)
        card.chat.connect(lambda: self.surroundings.go_to("chat"))
        self._cards.addWidget(card)
        if state.trouble is not None:
            text = translate("Home", "You can go on working. Newer versions can't be looked for: {reason}")
            self._cards.addWidget(notice_strip(text.format(reason=state.trouble.message)))
        if state.update is not None:
            update, found = UpdateCard(state), state.update
            update.update_wanted.connect(lambda: self.start_install(Wanted(found)))
            self._cards.addWidget(update)

    def _show_ollama(self, card: OllamaCard) -> None:
        card.start.connect(self.start_ollama)
        card.cancel.connect(self.cancel_ollama)
        if self._ollama is not None:
            card.show_starting()
        self._cards.addWidget(card)

    def _show_ollama_below(self, state: HomeState, survey: Survey) -> None:
        """What isn't the most important thing now: an Ollama that could be started, one that was, why one couldn't."""
        if self._ollama_error is not None:
            title = translate("Home", "That didn't work with Ollama")
            actions = [(translate("Home", "Not now"), self.dismiss_ollama)]
            self._cards.addWidget(ErrorPanel(self._ollama_error, actions, title=title))
        if survey.ollama.executable and not isinstance(state, OllamaStopped) and not self.installing:
            self._show_ollama(OllamaCard(survey.ollama, None, primary=False))
        if survey.ollama.started is not None:
            started = StartedOllamaCard(survey.ollama.started)
            started.stop.connect(self.stop_ollama)
            if self._ollama is not None:
                started.show_ending()
            self._cards.addWidget(started)

    def _show_installing(self, wanted: Wanted) -> None:
        self._installing = InstallingCard(wanted)
        self._installing.cancel.connect(self.cancel_install)
        self._installing.pause.connect(self.pause_install)
        for event in self._latest.values():
            self._installing.show_event(event)
        if self._paused:
            self._installing.show_paused(paused=True)
        if self._settling:
            self._installing.show_settling()
        self._cards.addWidget(self._installing)

    def _show_interrupted(self, state: Interrupted) -> None:
        if state.error is not None:
            actions = [
                (translate("Home", "Try again"), self.resume_install),
                (translate("Home", "Not now"), self.dismiss_install),
            ]
            title = translate("Home", "{model} could not be installed").format(model=state.wanted.title)
            self._cards.addWidget(ErrorPanel(state.error, actions, title=title, primary=True))
            return
        card = StoppedCard(state)
        card.resume.connect(self.resume_install)
        card.dismiss.connect(self.dismiss_install)
        self._cards.addWidget(card)

    def _show_details(self, state: HomeState, survey: Survey) -> None:
        if survey.recommendation is not None and survey.recommendation.remarks:
            self._cards.addWidget(notice_strip(reasons_text(survey.recommendation.remarks)))
        self._show_ollama_below(state, survey)
        candidate = self._candidate_in_view(state)
        self._cards.addWidget(MachineCard(survey.profile, candidate))
        beside = self._cards_below(candidate, survey)
        if beside:
            line = QHBoxLayout()
            line.setSpacing(theme.L)
            for card in beside:
                line.addWidget(card, 1)
            self._cards.addLayout(line)

    def _candidate_in_view(self, state: HomeState) -> Candidate | None:
        """The model whose place in memory is drawn: what is being installed, else what is offered."""
        if self._wanted is not None and (self.installing or self._interrupted):
            return self._wanted.what if isinstance(self._wanted.what, Candidate) else None
        return state.candidate if isinstance(state, ReadyToInstall) else None

    def _cards_below(self, candidate: Candidate | None, survey: Survey) -> list[TextCard]:
        result = []
        choice = survey.recommendation.for_role(Role.CHAT) if survey.recommendation else None
        if candidate is not None and choice is not None and choice.choice == candidate:
            result.append(why_card(candidate, choice.reasons))
        completion = completion_offer(survey)
        if completion is not None and not self.installing and self._interrupted is None:
            card = CompletionCard(completion)
            wanted = Wanted(completion.candidate)
            card.install.connect(lambda: self.start_install(wanted))
            result.append(card)
        return result

    def _show_step(self) -> None:
        if self._busy is not None:
            self._busy.set_text(self.surroundings.situation.doing)

    def _focus_primary(self) -> None:
        buttons = [
            button
            for button in self.findChildren(Button)
            if button.isEnabled() and not button.isHidden() and button is not self.refresh_button
        ]
        primary = [button for button in buttons if button.property("look") == "primary"]
        for button in (primary or buttons)[:1]:
            button.setFocus()

    # -- what is done -------------------------------------------------------------------------------------------------

    def _look_again(self) -> None:
        self.surroundings.situation.refresh(ask_registry=True)

    def start_install(self, wanted: Wanted) -> None:
        """Installs a candidate, or an update, unless an install is under way."""
        if self.installing:
            return
        desk = self.surroundings.desk

        def job(report: Report, cancel: Cancel) -> Installed | tuple[Installed, ...]:
            if isinstance(wanted.what, Update):
                return desk.update(wanted.what, report, cancel)
            return desk.install(wanted.what, report, cancel)

        self._wanted, self._interrupted = wanted, None
        self._latest, self._paused = {}, False
        self._install = self.surroundings.tasks.run(
            job,
            on_progress=self._on_progress,
            on_done=lambda _: self._on_installed(),
            on_error=lambda error: self._on_interrupted(Interrupted(wanted, error)),
            on_cancelled=lambda: self._on_interrupted(Interrupted(wanted)),
            lane=Lane.CHANGES,
        )
        self.render_state()

    def cancel_install(self) -> None:
        self._paused = False
        if self._install is not None:
            self._install.cancel()
        if self._installing is not None:
            self._installing.show_cancelling()

    def pause_install(self, paused: bool) -> None:
        """Lets the download under way wait, or go on."""
        if self._install is None:
            return
        self._paused = paused
        self.title_label.setText(self._page_title(home_state(self.surroundings.situation)))
        if self._installing is not None:
            self._installing.show_paused(paused=paused)
        if paused:
            self._install.pause()
        else:
            self._install.resume()

    def resume_install(self) -> None:
        if self._interrupted is not None:
            self.start_install(self._interrupted.wanted)

    def dismiss_install(self) -> None:
        self._wanted, self._interrupted = None, None
        self.surroundings.situation.refresh()

    def start_ollama(self) -> None:
        """Starts the Ollama that is installed here; it answers when the next survey says so."""
        self._change_ollama(self.surroundings.desk.start_ollama)

    def stop_ollama(self) -> None:
        """Ends the Ollama that this program started."""
        self._change_ollama(self.surroundings.desk.stop_ollama)

    def _change_ollama(self, job: Callable[[Report, Cancel], None]) -> None:
        if self._ollama is not None:
            return
        self._ollama_error = None
        self._ollama = self.surroundings.tasks.run(
            job,
            on_done=lambda _: self._on_ollama_changed(),
            on_error=self._on_ollama_failed,
            on_cancelled=lambda: self._on_ollama_failed(None),
            lane=Lane.CHANGES,
        )
        self.render_state()

    def cancel_ollama(self) -> None:
        if self._ollama is not None:
            self._ollama.cancel()

    def dismiss_ollama(self) -> None:
        self._ollama_error = None
        self.render_state()

    def _on_ollama_changed(self) -> None:
        self._ollama_settling = True
        self.surroundings.situation.refresh()

    def _on_ollama_failed(self, error: BBjDesktopError | None) -> None:
        self._ollama, self._ollama_error = None, error
        self.render_state()

    def _on_progress(self, event: Event) -> None:
        if isinstance(event, Step):
            self._latest.clear()
        self._latest[type(event)] = event
        if self._installing is not None:
            self._installing.show_event(event)

    def _on_installed(self) -> None:
        self._settling = True
        self.surroundings.situation.refresh()

    def _on_interrupted(self, state: Interrupted) -> None:
        self._install, self._interrupted = None, state
        self.render_state()


def state_title(state: HomeState) -> str:
    """What Home is headed with when no install is under way."""
    match state:
        case Looking():
            return translate("Home", "Welcome")
        case FirstStart():
            return translate("Home", "Where do your models come from?")
        case Unreachable():
            return translate("Home", "No models to offer yet")
        case NotAsked():
            return translate("Home", "Ready to look for models")
        case NothingFits():
            return translate("Home", "Nothing to install")
        case ReadyToInstall():
            return translate("Home", "Ready to install")
        case OllamaStopped():
            return translate("Home", "Ollama has to run first")
        case Ready(version=version):
            return translate("Home", "{model} is ready").format(model=model_title(version.release))


def source_text(survey: Survey) -> str:
    """``Registry: models.example.com · stable · checked just now``."""
    if survey.registry is None:
        return ""
    parts = [translate("Home", "Registry: {address}").format(address=_short(survey.registry))]
    if survey.offering is not None:
        parts.append(survey.offering.catalogue.channel)
        age_s = (datetime.now(UTC) - survey.offering.checked_at).total_seconds()
        if age_s < _JUST_NOW_S:
            parts.append(translate("Home", "checked just now"))
        else:
            parts.append(translate("Home", "checked {time} ago").format(time=duration(age_s)))
    elif survey.trouble is not None:
        parts.append(translate("Home", "can't be reached"))
    else:
        parts.append(translate("Home", "not asked"))
    return " · ".join(parts)


def _short(address: str) -> str:
    return address.removeprefix("https://").removeprefix("http://").rstrip("/")
