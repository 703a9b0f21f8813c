"""What ``doctor`` says about the registry and the way to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bbj_desktop.actions import doctoring, registering
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.finding import Finding
from bbj_desktop.core.progress import Cancel, silent
from tests.fakes.published import Publication, trust
from tests.fakes.release_server import Fault, Handler, ReleaseServer


def found(context: Context, *, online: bool = False) -> list[Finding]:
    """What is said about registry and network."""
    findings = doctoring.diagnose(context, silent, Cancel(), online=online).findings
    return [finding for finding in findings if finding.area in {"registry", "network"}]


def texts(findings: list[Finding]) -> str:
    return "\n".join(f"{each.area} {each.state}: {each.text}" for each in findings)


def quiet(context: Context) -> Context:
    return replace(
        context, settings=replace(context.settings, values=replace(context.settings.values, update_checks=False))
    )


def host(server: ReleaseServer) -> str:
    return f"127.0.0.1:{server.port}"


class Sending(ReleaseServer):
    """A registry whose models lie on another server."""

    elsewhere = ""

    def answer(self, handler: Handler, path: str) -> bool:
        if not path.startswith("blobs/"):
            return False
        handler.head(302, {"Location": f"{self.elsewhere}/{path}", "Content-Length": "0"})
        return True


def test_all_is_well(context: Context) -> None:
    assert {finding.state for finding in found(context)} == {"ok", "note"}


def test_the_hosts_to_allow_are_listed(context: Context, registry: ReleaseServer) -> None:
    """Ollama, on this machine, isn't among them."""
    assert found(context)[-1].text == f"Hosts to allow: {host(registry)}"


def test_an_ollama_elsewhere_is_to_be_allowed(context: Context) -> None:
    values = replace(context.settings.values, ollama_host="http://ollama.invalid:11434", update_checks=False)
    far = replace(context, settings=replace(context.settings, values=values), _runtimes={})
    assert "ollama.invalid:11434" in found(far)[-1].text


def test_where_models_really_lie_is_to_be_allowed_too(context: Context, publication: Publication) -> None:
    with ReleaseServer(publication.folder) as storage, Sending(publication.folder) as server:
        server.elsewhere = storage.address
        trust(context, server.address, publication)
        findings = found(context)
        assert f"Models come from {server.address}" in texts(findings)
        assert host(storage) in findings[-1].text


def test_models_that_do_not_come_although_the_registry_answers(context: Context, publication: Publication) -> None:
    with ReleaseServer(publication.folder) as storage, Sending(publication.folder) as server:
        server.elsewhere = storage.address
        storage.always = Fault(status=403)
        trust(context, server.address, publication)
        findings = found(context)
    assert f"network error: Models don't come from {server.address}" in texts(findings)
    assert host(storage) in findings[-1].text


def test_a_registry_that_is_gone(context: Context, registry: ReleaseServer) -> None:
    registry.close()
    said = texts(found(context))
    assert "registry error: " in said
    assert f"network error: {host(registry)} can't be reached" in said


def test_a_mirror_that_is_gone_is_a_warning(context: Context, publication: Publication) -> None:
    with ReleaseServer(publication.folder) as mirror:
        registering.add_mirror(context, mirror.address, silent, Cancel())
    said = texts(found(context))
    assert f"network warning: {host(mirror)} can't be reached" in said
    assert "error" not in said


def test_a_wrong_clock(context: Context) -> None:
    now = context.now
    late = replace(context, now=lambda: now() + timedelta(hours=5))
    assert "network warning: Clock: this machine's is 5.0 hours ahead of" in texts(found(late))


def test_without_update_checks_the_registry_is_not_asked(context: Context, registry: ReleaseServer) -> None:
    first, hosts = found(quiet(context))
    assert (first.state, first.hint) == ("note", "bbj-desktop doctor --online asks it.")
    assert "update_checks is off" in first.text
    assert hosts.text == f"Hosts to allow: {host(registry)}"
    assert registry.requests == []


def test_without_update_checks_it_is_asked_on_demand(context: Context, registry: ReleaseServer) -> None:
    assert "its signatures hold" in texts(found(quiet(context), online=True))
    assert registry.requests


def test_a_registry_in_a_folder_needs_no_network(context: Context, publication: Publication) -> None:
    trust(context, str(publication.folder), publication)
    assert {finding.area for finding in found(context)} == {"registry"}
