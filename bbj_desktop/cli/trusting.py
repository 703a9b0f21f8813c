"""The first start: without a trusted registry a person at a terminal is asked for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bbj_desktop.actions import registering
from bbj_desktop.actions.registering import RegistryView
from bbj_desktop.cli.session import Session
from bbj_desktop.core.errors import NoTrustedRootError, SignatureError, UserInputError
from bbj_desktop.services.configuration import full_address
from bbj_desktop.services.registry.root import RootDescription

Result = TypeVar("Result")


def with_registry(session: Session, job: Callable[[], Result]) -> Result:
    """Does the job; where no registry is trusted yet and somebody can be asked, sets one up and does it again.

    Raises:
        NoTrustedRootError: There is nobody to ask.
    """
    try:
        return job()
    except NoTrustedRootError as error:
        if not session.interactive or session.settings.values.registry is not None:
            raise
        session.screen.message(error.message)
    session.screen.message("Its address and its root file come from whoever runs it.")
    address = session.ask("Address of the registry: ").strip()
    trust(session, address, session.ask("Root file (empty: the one at that address): ").strip(), fingerprint=None)
    return job()


def trust(
    session: Session, address: str, root_file: str | None, *, fingerprint: str | None, offline: bool = False
) -> tuple[RegistryView, RootDescription]:
    """Shows a root's fingerprint, has it compared, and trusts the registry.

    Args:
        root_file: None or empty takes the registry's own, which proves nothing until its fingerprint was compared.
        fingerprint: What it must be; None asks.
        offline: Its expiry is a matter of policy.

    Raises:
        SignatureError: The fingerprint is another one.
        Cancelled: The user says that it is another one.
    """
    address = full_address(address)
    if root_file:
        root = registering.read_root(Path(root_file).expanduser())
    else:
        root = session.work(lambda _report, cancel: registering.fetch_root(session.context, address, cancel))
    description = agree(session, root, fingerprint)
    view = session.work(
        lambda report, cancel: registering.add_registry(session.context, address, root, report, cancel, offline=offline)
    )
    return view, description


def agree(session: Session, root: bytes, fingerprint: str | None) -> RootDescription:
    """Has a root's fingerprint compared: by the program where one was given, else by the user.

    Raises:
        SignatureError: The fingerprint is another one.
        Cancelled: The user says that it is another one.
        UserInputError: There is nobody to ask.
    """
    description = registering.describe(root)
    if fingerprint is not None:
        _compare(description, fingerprint)
    else:
        show_root(session.screen.message, description)
        if not (session.yes or session.interactive):
            raise UserInputError(
                "Somebody has to compare this fingerprint, and there is nobody to ask.",
                hint="Add --fingerprint DIGEST, as the registry's makers told it.",
            )
        session.confirm("Is this the fingerprint that you were given?")
    return description


def _compare(root: RootDescription, fingerprint: str) -> None:
    if _bare(root.identity) != _bare(fingerprint):
        raise SignatureError(
            f"The root's fingerprint is {root.fingerprint}, not {fingerprint}.",
            hint="Don't use it. Ask for the registry's root file again, over a way that you trust.",
        )


def _bare(fingerprint: str) -> str:
    """Hex digits only: people copy fingerprints with and without ``sha256:``, colons and spaces."""
    return "".join(fingerprint.lower().removeprefix("sha256:").replace(":", "").split())


def show_root(line: Callable[[str], None], root: RootDescription) -> None:
    """What a root says, for comparison."""
    line(f"Fingerprint: {root.fingerprint}")
    line(f"Version {root.version}, expires {root.expires:%Y-%m-%d}")
    for role in root.roles:
        line(f"  {role.name}: {role.threshold} of {len(role.keys)} keys must sign")
