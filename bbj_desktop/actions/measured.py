"""What was measured on this machine so far; nothing is asked of any engine."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from bbj_desktop.actions.context import Context
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.errors import BBjDesktopError, UserInputError
from bbj_desktop.core.measuring import Learned, MeasuredSpeed, learned_from, speed_from
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.measurements import Measurements, machine_at, this_machine
from bbj_desktop.services.runtime.ollama_address import DEFAULT_ADDRESS, is_local, parse_ollama_host

log = logging.getLogger(__name__)


def machine_of(status: RuntimeStatus) -> str:
    """Where an engine computes: here, or behind its address."""
    return this_machine() if status.local else machine_at(status.address)


def what_is_learned(context: Context, statuses: Sequence[RuntimeStatus]) -> Learned:
    """All that was measured; nothing when it can't be read."""
    try:
        measurements = Measurements(context.paths.learned).read()
    except BBjDesktopError as error:
        log.warning("measurements can't be read: %s", error)
        measurements = ()
    return learned_from(measurements, statuses, [machine_of(status) for status in statuses])


def measured_here(context: Context, version: InstalledVersion) -> MeasuredSpeed | None:
    """How fast a version was, in the first of its runtimes in which anything was measured; nothing is asked."""
    known = Measurements(context.paths.learned).read()
    places: dict[str, str] = {"embedded": this_machine(), "ollama": _ollamas_machine(context)}
    for registration in version.registrations:
        subject = (places[registration.runtime], version.variant.own_file.digest, registration.runtime)
        if speed := speed_from([each for each in known if each.subject == subject]):
            return speed
    return None


def _ollamas_machine(context: Context) -> str:
    """Where the Ollama of the settings computes."""
    try:
        address = parse_ollama_host(context.settings.values.ollama_host or DEFAULT_ADDRESS)
    except UserInputError:  # the settings name none
        return ""
    return this_machine() if is_local(address) else machine_at(address)
