"""Words and numbers for the screen: translation, and every number's format in one place."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLocale

from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.progress import Step, Transfer
from bbj_desktop.core.recommendation import Reason
from bbj_desktop.core.release import Release
from bbj_desktop.core.versions import model_name

_SI = 1000
_BINARY = 1024
_MINUTE_S = 60
_HOUR_MIN = 60
_FULL_FROM = 100  # from here on a size needs no decimals
_WHOLE_FROM = 10  # … and a speed from here


def translate(context: str, text: str, count: int = -1) -> str:
    """The text in the user's language. ``lupdate`` finds calls of this name; placeholders are ``{named}``.

    Args:
        count: For texts with ``%n``: the number that chooses the plural form.
    """
    return QCoreApplication.translate(context, text, None, count)


def integer(value: int) -> str:
    """``8,192``."""
    return QLocale().toString(value)


def decimal(value: float, digits: int = 1) -> str:
    """``42.6``."""
    return QLocale().toString(float(value), "f", digits)  # PySide takes no int here


def _digits(value: float, base: int) -> int:
    """Decimals from a giga on, where they are worth something: ``98 MB``, ``4.7 GB``, ``16 GB``, ``212 GB``."""
    size = value / base**3
    while size >= base:
        size /= base
    return 1 if 1 <= size < _FULL_FROM and round(size, 1) % 1 else 0


def file_size(length_bytes: int) -> str:
    """Of files and disks, powers of 1,000: ``4.7 GB``."""
    return QLocale().formattedDataSize(
        length_bytes, _digits(length_bytes, _SI), QLocale.DataSizeFormat.DataSizeSIFormat
    )


def memory_size(length_bytes: int) -> str:
    """Of memory, powers of 1,024 under the names that machines are sold with: ``16 GB``."""
    return QLocale().formattedDataSize(
        length_bytes, _digits(length_bytes, _BINARY), QLocale.DataSizeFormat.DataSizeTraditionalFormat
    )


def duration(seconds: float) -> str:
    """``12 s``, ``6 min``, ``1 h 20 min``."""
    if seconds < _MINUTE_S:
        return translate("Units", "{n} s").format(n=integer(max(1, round(seconds))))
    minutes = round(seconds / _MINUTE_S)
    if minutes < _HOUR_MIN:
        return translate("Units", "{n} min").format(n=integer(minutes))
    return translate("Units", "{h} h {m} min").format(h=integer(minutes // _HOUR_MIN), m=integer(minutes % _HOUR_MIN))


def span(low: float, high: float) -> str:
    """A range of numbers, ``30`` to ``50``, or one number where both read alike."""
    first, last = (decimal(each, 0 if each >= _WHOLE_FROM or each == round(each) else 1) for each in (low, high))
    if first == last:
        return first
    return translate("Units", "{low}–{high}").format(low=first, high=last)  # noqa: RUF001 - a range takes an en dash


def model_title(release: Release) -> str:
    """A model and its size: ``bbj-coder 7B``."""
    return translate("Model", "{name} {size}").format(name=model_name(release), size=release.size.upper())


def version_title(release: Release) -> str:
    """A version of a model: ``bbj-coder 2026.1 · 7B``."""
    text = translate("Model", "{name} {version} · {size}")
    return text.format(name=model_name(release), version=release.version, size=release.size.upper())


def reason_text(reason: Reason) -> str:
    """A reason's sentence: its translation if there is one for its code, else the English one."""
    sentence = translate("Reason", reason.code)
    return reason.text if sentence == reason.code else sentence.format(**reason.values)


def statistics_line(statistics: Statistics) -> str:
    """``first token 0.31 s · 42.6 tokens/s · 118 tokens · finished``."""
    endings = {
        "stop": translate("Statistics", "finished"),
        "length": translate("Statistics", "stopped at the length limit"),
        "cancelled": translate("Statistics", "stopped"),
    }
    parts = [translate("Statistics", "first token {s} s").format(s=decimal(statistics.ttft_s, 2))]
    if statistics.decode_tokens_per_s is not None:
        speed = decimal(statistics.decode_tokens_per_s)
        parts.append(translate("Statistics", "{n} tokens/s").format(n=speed))
    parts.append(translate("Statistics", "{n} tokens").format(n=integer(statistics.answer_tokens)))
    parts.append(endings[statistics.stop_reason])
    return " · ".join(parts)


def transfer_line(transfer: Transfer) -> str:
    """``41 of 98 MB · 12 MB/s · 5 s left``."""
    done, total = file_size(transfer.done_bytes), file_size(transfer.total_bytes)
    parts = [translate("Transfer", "{done} of {total}").format(done=done, total=total)]
    if transfer.rate_bytes_per_s is not None:
        rate = file_size(round(transfer.rate_bytes_per_s))
        parts.append(translate("Transfer", "{rate}/s").format(rate=rate))
    if transfer.remaining_s is not None:
        parts.append(translate("Transfer", "{time} left").format(time=duration(transfer.remaining_s)))
    return " · ".join(parts)


def step_text(step: Step) -> str:
    """A step's text: its translation if there is one for its name, else the English one."""
    sentence = translate("Step", step.name)
    return step.text if sentence == step.name else sentence
