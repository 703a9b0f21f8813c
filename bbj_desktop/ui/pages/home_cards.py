"""Home's cards. Each one shows values and says which button was pressed; none of them does anything itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from PySide6.QtCore import QDate, QLocale, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QFrame, QGridLayout, QHBoxLayout, QProgressBar, QVBoxLayout, QWidget
from typing_extensions import override

from bbj_desktop.core.hardware import Gpu, GpuKind, HardwareProfile, VolumePurpose
from bbj_desktop.core.progress import Remark, Step, Transfer
from bbj_desktop.core.recommendation import Candidate, MemoryNeed, Placement, Reason, ReasonKind
from bbj_desktop.core.release import Release, Role
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.ui import theme
from bbj_desktop.ui.models.home import Interrupted, NotAsked, NothingFits, Ready, ReadyToInstall, Wanted
from bbj_desktop.ui.text import (
    file_size,
    integer,
    memory_size,
    model_title,
    reason_text,
    span,
    step_text,
    transfer_line,
    translate,
    version_title,
)
from bbj_desktop.ui.widgets.basics import Button, Card, ElidedLabel, Flow, Paragraph, Tag, label, paragraph, row
from bbj_desktop.ui.widgets.memory_bar import Amounts, MemoryBar, legend

_NAMES_WIDTH = 212  # pixels
_VALUES_WIDTH = 122
_NARROW = 640  # below this width of a card its buttons stand under its words
_PROGRESS_STEPS = 1000  # a progress bar counts in 32 bits, files don't


def day(value: date) -> str:
    """``14 January 2026``."""
    return QLocale().toString(QDate(value.year, value.month, value.day), "d MMMM yyyy")


def quantisation_tag(name: str) -> Tag:
    """A quantisation with what it means."""
    bits = {"F16": 16, "Q8_0": 8, "Q6_K": 6, "Q5_K_M": 5, "Q2_K": 2}.get(name, 4)
    text = translate(
        "Home",
        "Quantisation: the weights are stored in about {bits} bits each. Fewer bits take less memory and answer "
        "faster; more bits answer a little better.",
    )
    return Tag(name, text.format(bits=integer(bits)))


def signed_tag() -> Tag:
    text = translate(
        "Home",
        "The registry's keys signed this release. Every byte is checked against that signature before it is used.",
    )
    return Tag(translate("Home", "signed"), text, "good")


def notice_strip(text: str) -> QFrame:
    """A remark on a soft ground, e.g. that a model is a stand-in."""
    strip = Card(look="notice", padding=theme.M, spacing=0)
    strip.body.setContentsMargins(theme.M, theme.S, theme.M, theme.S)
    strip.body.addWidget(paragraph(text))
    return strip


def reasons_text(reasons: Iterable[Reason]) -> str:
    return " ".join(reason_text(reason) for reason in reasons)


class HeroCard(Card):
    """The card at the top: a model on the left, what to do on the right.

    Attributes:
        left: Layout of the words.
        right: Layout of the buttons, aligned to the right.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left = QVBoxLayout()
        self.left.setSpacing(theme.S)
        self.right = QVBoxLayout()
        self.right.setSpacing(theme.S)
        self._line = QHBoxLayout()
        self._line.setSpacing(theme.XL)
        self._line.addLayout(self.left, 1)
        self._line.addLayout(self.right)
        self.body.addLayout(self._line)

    @override
    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        narrow = event.size().width() < _NARROW
        self._line.setDirection(QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight)
        self._line.setSpacing(theme.M if narrow else theme.XL)

    def add_heading(self, text: str, tags: Iterable[Tag] = ()) -> None:
        line = Flow(theme.S)
        line.addWidget(label(text, "hero"))
        for tag in tags:
            line.addWidget(tag)
        self.left.addLayout(line)

    def add_button(self, button: Button) -> None:
        self.right.addWidget(button, 0, Qt.AlignmentFlag.AlignRight)

    def close_right(self) -> None:
        self.right.addStretch(1)


def about(release: Release) -> str:
    """What a release is for, and of which day."""
    text = {
        Role.CHAT: translate("Home", "Chat and code explanation for all four BBj generations, released {day}."),
        Role.FIM: translate("Home", "Completes code while you type, released {day}."),
    }[release.role]
    return text.format(day=day(release.released))


class OfferCard(HeroCard):
    """The recommended model, ready to be installed.

    Signals:
        install: The primary button was pressed.
    """

    install = Signal()

    def __init__(self, state: ReadyToInstall) -> None:
        super().__init__()
        candidate = state.candidate
        release = candidate.release
        self.add_heading(model_title(release), (quantisation_tag(candidate.variant.quantisation), signed_tag()))
        self.left.addWidget(paragraph(release.title if release.notice else about(release), "muted"))
        if release.notice:
            self.left.addWidget(notice_strip(release.notice))
        self.left.addSpacing(theme.XS)
        self.left.addWidget(placement_paragraph(candidate))
        self.primary = Button(_install_text(state), "primary")
        self.primary.clicked.connect(self.install)
        self.add_button(self.primary)
        if state.partly_here and state.plan is not None:
            here = translate("Home", "{size} are here already").format(size=file_size(state.plan.here_bytes))
            self.right.addWidget(label(here, "small"), 0, Qt.AlignmentFlag.AlignRight)
        self.close_right()


def _install_text(state: ReadyToInstall) -> str:
    if not state.fetch_bytes:
        return translate("Home", "Install")
    text = translate("Home", "Resume · {size}") if state.partly_here else translate("Home", "Install · {size}")
    return text.format(size=file_size(state.fetch_bytes))


def placement_paragraph(candidate: Candidate) -> Paragraph:
    """Where it would lie and how fast it would be, in two sentences."""
    context = integer(candidate.fit.context_length)
    places = {
        Placement.GPU: translate("Home", "Fits your GPU completely, with room for {n} tokens of context."),
        Placement.SPLIT: translate("Home", "Lies partly on your GPU, with room for {n} tokens of context."),
        Placement.CPU: translate("Home", "Runs on the processor, with room for {n} tokens of context."),
        Placement.UNIFIED: translate("Home", "Fits this Mac's memory, with room for {n} tokens of context."),
    }
    speed = translate("Home", "{range} tokens per second").format(range=span(*candidate.expectation.tokens_per_s))
    expect = translate("Home", "Expect {speed}.").format(speed=speed)
    return paragraph(f"{places[candidate.fit.placement].format(n=context)} {expect}", strong=speed)


class BusyCard(Card):
    """Something is being looked at."""

    def __init__(self, text: str) -> None:
        super().__init__(spacing=theme.M)
        self._text = paragraph(text)
        bar = QProgressBar()
        bar.setRange(0, 0)
        bar.setTextVisible(False)
        bar.setAccessibleName(text)
        self.body.addWidget(self._text)
        self.body.addWidget(bar)
        self.body.addWidget(paragraph(translate("Home", "This takes a few seconds. Nothing is changed."), "small"))

    def set_text(self, text: str) -> None:
        self._text.say(text)


class InstallingCard(HeroCard):
    """A download and what follows it. Only a download can be paused; the button for it is there as long as one runs.

    Signals:
        cancel: The button was pressed.
        pause: The download is to wait (True) or to go on (False).
    """

    cancel = Signal()
    pause = Signal(bool)

    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self._doing = translate("Home", "Preparing…")
        self._moved: Transfer | None = None
        self._paused = False
        self.add_heading(wanted.title)
        self.step = paragraph(self._doing, "muted")
        self.left.addWidget(self.step)
        self.button = Button(translate("Home", "Cancel"))
        self.button.clicked.connect(self.cancel)
        self.pause_button = Button(translate("Home", "Pause"))
        self.pause_button.clicked.connect(lambda: self.pause.emit(not self._paused))
        self.pause_button.hide()
        self.right.addLayout(row(None, self.pause_button, self.button))
        self.close_right()
        self.bar = QProgressBar()
        self.bar.setRange(0, 0)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(translate("Home", "Progress"))
        self.numbers = paragraph(" ", "small")
        self.body.addSpacing(theme.S)
        self.body.addWidget(self.bar)
        self.body.addWidget(self.numbers)

    def show_paused(self, *, paused: bool) -> None:
        self._paused = paused
        self.pause_button.setText(translate("Home", "Resume") if paused else translate("Home", "Pause"))
        waiting = translate("Home", "Paused. What has been fetched is kept, and nothing is sent or received.")
        self.step.say(waiting if paused else self._doing)
        self._show_numbers()

    def show_event(self, event: Step | Transfer | Remark) -> None:
        if isinstance(event, Step):
            self._doing, self._moved = step_text(event), None
            self.step.say(self._doing)
            self.numbers.say(" ")
            self.bar.setRange(0, 0)
            self.pause_button.setVisible(event.name == "download")
        elif isinstance(event, Transfer):
            self.bar.setRange(0, _PROGRESS_STEPS)
            self.bar.setValue(event.done_bytes * _PROGRESS_STEPS // max(1, event.total_bytes))
            self._moved = event
            self._show_numbers()
        else:
            self.numbers.say(event.text)

    def _show_numbers(self) -> None:
        """A pause has neither speed nor end."""
        if self._moved is not None:
            still = Transfer(self._moved.done_bytes, self._moved.total_bytes)
            self.numbers.say(transfer_line(still if self._paused else self._moved))

    def show_settling(self) -> None:
        self._stop_asking()
        self.step.say(translate("Home", "Almost there…"))

    def show_cancelling(self) -> None:
        self._stop_asking()
        self.step.say(translate("Home", "Stopping at a safe point…"))

    def _stop_asking(self) -> None:
        self.button.setEnabled(False)
        self.pause_button.hide()


class StoppedCard(HeroCard):
    """An install that the user stopped.

    Signals:
        resume: Take up where it ended.
        dismiss: Leave it.
    """

    resume = Signal()
    dismiss = Signal()

    def __init__(self, state: Interrupted) -> None:
        super().__init__()
        self.add_heading(state.wanted.title, (Tag(translate("Home", "stopped"), kind="warning"),))
        text = translate("Home", "You stopped the installation. What has been fetched and checked is kept.")
        self.left.addWidget(paragraph(text, "muted"))
        self.primary = Button(translate("Home", "Resume"), "primary")
        self.primary.clicked.connect(self.resume)
        self.add_button(self.primary)
        later = Button(translate("Home", "Not now"), "link")
        later.clicked.connect(self.dismiss)
        self.add_button(later)
        self.close_right()


class NotAskedCard(HeroCard):
    """Nothing is installed, and nothing was asked: the settings want the user to say so first.

    Signals:
        check: Ask the registry now.
    """

    check = Signal()

    def __init__(self, state: NotAsked) -> None:
        super().__init__()
        self.add_heading(translate("Home", "Look for a model for this machine"), ())
        text = translate(
            "Home",
            "Your settings say that nothing is looked for without being told (update_checks is off), so {address} "
            "hasn't been asked yet.",
        )
        self.left.addWidget(paragraph(text.format(address=state.registry), "muted"))
        self.primary = Button(translate("Home", "Check now"), "primary")
        self.primary.clicked.connect(self.check)
        self.add_button(self.primary)
        self.close_right()


class ReadyCard(HeroCard):
    """The model that answers.

    Signals:
        chat: Start chatting.
        update: Install the newer release.
    """

    chat = Signal()
    update_wanted = Signal()

    def __init__(self, state: Ready) -> None:
        super().__init__()
        release = state.version.release
        self.add_heading(model_title(release), (quantisation_tag(state.version.quantisation), signed_tag()))
        self.left.addWidget(paragraph(release.title if release.notice else about(release), "muted"))
        if release.notice:
            self.left.addWidget(notice_strip(release.notice))
        self.left.addSpacing(theme.XS)
        self.left.addWidget(paragraph(served_text(state.version)))
        self.primary = Button(translate("Home", "Start chatting"), "primary")
        self.primary.clicked.connect(self.chat)
        self.add_button(self.primary)
        self.close_right()


def served_text(version: InstalledVersion) -> str:
    """Who runs it, with how much context."""
    names = {"ollama": translate("Home", "Ollama"), "embedded": translate("Home", "the built-in engine")}
    runtime = version.registrations[0].runtime
    text = translate("Home", "Version {version} answers through {runtime}, with {n} tokens of context.")
    return text.format(
        version=version.release.version, runtime=names.get(runtime, runtime), n=integer(version.context_length)
    )


class UpdateCard(Card):
    """A newer release of what is installed.

    Signals:
        update: The button was pressed.
    """

    update_wanted = Signal()

    def __init__(self, state: Ready) -> None:
        super().__init__(spacing=theme.S)
        if state.update is None:
            raise ValueError(state)
        release = state.update.offer.release
        title = translate("Home", "{version} is available").format(version=version_title(release))
        self.body.addWidget(paragraph(title, "cardTitle"))
        text = release.changelog or translate("Home", "The version you have stays on this machine beside it.")
        self.body.addWidget(paragraph(text, "muted"))
        button = Button(translate("Home", "Update"), "plain")
        button.clicked.connect(self.update_wanted)
        self.body.addLayout(row(button, None))


class TextCard(Card):
    """A title and a few sentences."""

    def __init__(self, title: str, *sentences: str) -> None:
        super().__init__(spacing=theme.S)
        self.body.addWidget(paragraph(title, "cardTitle"))
        for sentence in sentences:
            self.body.addWidget(paragraph(sentence, "small"))
        self.body.addStretch(1)


def why_card(candidate: Candidate, reasons: Iterable[Reason]) -> TextCard:
    """Which limit decided, what more would need, what to close: each kind a paragraph."""
    given = list({reason.text: reason for reason in (*reasons, *candidate.reasons)}.values())
    paragraphs = [
        reasons_text(reason for reason in given if reason.kind is kind)
        for kind in (ReasonKind.DECIDED, ReasonKind.MORE, ReasonKind.CLOSE, ReasonKind.ENGINE, ReasonKind.WARNING)
    ]
    return TextCard(translate("Home", "Why this one"), *(text for text in paragraphs if text))


class CompletionCard(TextCard):
    """The second, small model that completes code.

    Signals:
        install: The button was pressed.
    """

    install = Signal()

    def __init__(self, offer: ReadyToInstall) -> None:
        text = translate("Home", "A small second model completes code while you type. It fits beside this one.")
        super().__init__(translate("Home", "Code completion"), text)
        release = offer.candidate.release
        caption = translate("Home", "Add {model} · {size}")
        button = Button(caption.format(model=model_title(release), size=file_size(offer.fetch_bytes)), "small")
        button.clicked.connect(self.install)
        self.body.insertSpacing(self.body.count() - 1, theme.XS)
        self.body.insertLayout(self.body.count() - 1, row(button, None))


def nothing_fits_card(state: NothingFits) -> TextCard:
    """Why nothing can be recommended, and what comes nearest."""
    why = reasons_text(state.reasons) or translate("Home", "The registry offers nothing for this machine yet.")
    sentences = [why]
    possible = [other for other in state.others if other.can_run]
    if possible:
        names = ", ".join(f"{model_title(each.release)} {each.variant.quantisation}" for each in possible[:3])
        sentences.append(translate("Home", "What would run here: {names}.").format(names=names))
    return TextCard(translate("Home", "Nothing that is offered runs well here"), *sentences)


class MachineCard(Card):
    """This machine: what is in use, and beside it what the model will take."""

    def __init__(self, profile: HardwareProfile, candidate: Candidate | None) -> None:
        super().__init__(spacing=theme.M)
        self._candidate = candidate
        aside = translate("Home", "What the model will take, beside what is in use") if candidate else ""
        heading = row(label(translate("Home", "This machine"), "cardTitle"), None, ElidedLabel(aside, "small"))
        self.body.addLayout(heading)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(theme.L)
        self._grid.setVerticalSpacing(theme.L)
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnMinimumWidth(2, _VALUES_WIDTH)
        self.body.addSpacing(theme.XS)
        self.body.addLayout(self._grid)
        self._add_gpus(profile)
        self._add_memory(profile)
        self._add_disk(profile)
        self.body.addSpacing(theme.XS)
        foot = QHBoxLayout()
        foot.setSpacing(theme.L)
        foot.addLayout(legend(with_model=candidate is not None), 1)
        foot.addWidget(ElidedLabel(processor_text(profile), "small"), 0, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(foot)

    def _add_gpus(self, profile: HardwareProfile) -> None:
        for position, gpu in enumerate(profile.gpus):
            if gpu.kind is GpuKind.UNIFIED or not gpu.vram_total_bytes:
                continue
            fit = self._candidate.fit if self._candidate else None
            need = fit.vram if fit is not None and fit.gpu_index == position else None
            self._add_gpu(gpu, gpu.vram_total_bytes, need)

    def _add_gpu(self, gpu: Gpu, total: int, need: MemoryNeed | None) -> None:
        free = gpu.vram_free_bytes if gpu.vram_free_bytes is not None else total
        amounts = Amounts.of(total, free, need)
        taken = total - free + (need.total_bytes if need else 0)
        value = translate("Home", "{taken} of {total}").format(taken=memory_size(taken), total=memory_size(total))
        self._add_row(gpu.name, translate("Home", "graphics memory"), amounts, value)

    def _add_memory(self, profile: HardwareProfile) -> None:
        memory = profile.memory
        need = self._candidate.fit.ram if self._candidate else None
        text = translate("Home", "{total}, {free} available")
        below = text.format(total=memory_size(memory.total_bytes), free=memory_size(memory.available_bytes))
        value = memory_size(need.total_bytes) if need else ""
        self._add_row(
            translate("Home", "Memory"), below, Amounts.of(memory.total_bytes, memory.available_bytes, need), value
        )

    def _add_disk(self, profile: HardwareProfile) -> None:
        volume = profile.volume_for(VolumePurpose.STORE)
        if volume is None or volume.free_bytes is None:
            return
        need = MemoryNeed(weights_bytes=self._candidate.disk_bytes) if self._candidate else None
        text = translate("Home", "{free} free in {folder}")
        below = text.format(folder=volume.path, free=file_size(volume.free_bytes))
        total = volume.total_bytes or volume.free_bytes
        value = translate("Home", "{size}, once").format(size=file_size(need.total_bytes)) if need else ""
        self._add_row(translate("Home", "Disk"), below, Amounts.of(total, volume.free_bytes, need), value)

    def _add_row(self, name: str, below: str, amounts: Amounts, value: str) -> None:
        words = QWidget()
        words.setFixedWidth(_NAMES_WIDTH)
        layout = QVBoxLayout(words)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(ElidedLabel(name, "strong"))
        layout.addWidget(ElidedLabel(below, "small"))
        line = self._grid.rowCount()
        self._grid.addWidget(words, line, 0)
        description = translate("Home", "{name}: {below}. {value}").format(name=name, below=below, value=value)
        self._grid.addWidget(MemoryBar(amounts, description), line, 1, Qt.AlignmentFlag.AlignVCenter)
        self._grid.addWidget(label(value, "small"), line, 2, Qt.AlignmentFlag.AlignVCenter)


def processor_text(profile: HardwareProfile) -> str:
    """``AMD Ryzen 7 5800X · 8 cores``."""
    cores = profile.cpu.physical_cores or profile.cpu.logical_cores
    text = translate("Home", "1 core") if cores == 1 else translate("Home", "{n} cores").format(n=integer(cores))
    return f"{profile.cpu.model} · {text}"
