"""Whether Ollama itself is to fetch a model's bytes, from where only it can read: decided with reasons. Values only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.ollama_names import is_one_of_ours, local_name, pull_name
from bbj_desktop.core.recommendation import Candidate
from bbj_desktop.core.units import format_bytes
from bbj_desktop.core.versions import version_key_of

LITTLE = 0.1
"""Share of a version that may be here already when Ollama is still asked first. It fetches all of it: so much comes
twice, for a pull that needs none of our own mirrors."""


class NamedMirror(BaseModel):
    """A name that somebody gave.

    Attributes:
        name: With host and tag, as Ollama pulls it; the address where it can't be pulled.
        taken: Ollama is asked to pull it, before our own mirrors.
        reason: Why, or why not, for a person.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    taken: bool
    reason: str


def consider_mirrors(
    candidate: Candidate,
    added: Sequence[str],
    *,
    missing_bytes: int,
    asks: bool,
    trusts_makers: bool,
) -> tuple[NamedMirror, ...]:
    """Judges every name: those that the customer added first, then those that the makers signed.

    Args:
        candidate: What is to be installed, with the makers' names in its catalogue entry.
        added: The customer's own (``ollama://…``).
        missing_bytes: What of its files isn't here.
        asks: Ollama may be told to fetch from other machines (``update_checks``).
        trusts_makers: … from where the makers say, too (``publisher_mirrors``).
    """
    length = candidate.variant.length_bytes
    against = "update_checks is off." if not asks else _too_much_here(length - missing_bytes, length)
    return tuple(dict.fromkeys(_judged(candidate, added, against, trusts_makers=trusts_makers)))


def _too_much_here(here: int, length: int) -> str:
    if here <= LITTLE * length:
        return ""
    return f"{format_bytes(here)} of {format_bytes(length)} are here already, and Ollama would fetch all of it."


def _judged(candidate: Candidate, added: Iterable[str], against: str, *, trusts_makers: bool) -> Iterator[NamedMirror]:
    named = [each for each in candidate.selection.offer.entry.ollama_mirrors if each not in added]
    why_not_makers = against or ("" if trusts_makers else "only its makers name it: publisher_mirrors is off.")
    key = version_key_of(candidate.release, candidate.variant.quantisation)
    for address, reason, whose in (
        *((address, against, "you added it") for address in added),
        *((address, why_not_makers, "its makers name it") for address in named),
    ):
        try:
            name = pull_name(address, key)
        except UserInputError:
            yield NamedMirror(name=address, taken=False, reason="Ollama can't pull such a name.")
            continue
        why = (
            "it is a name that we give ourselves."
            if is_one_of_ours(local_name(name), candidate.release, key)
            else reason
        )
        yield NamedMirror(name=name, taken=not why, reason=why or f"{whose}; only the signed bytes count.")
