"""What a stage changes, in words: read from the files that are to be signed, for whoever signs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tuf.api.metadata import Root, Targets

from bbj_desktop.core.errors import NotFoundError
from bbj_desktop.core.release import Catalogue, CatalogueEntry, Extra, Release, parse_catalogue, parse_release
from bbj_desktop.services.registry.layout import catalogue_target
from bbj_desktop.services.registry.ledger import in_order
from bbj_desktop.services.registry.staging import BASE, Stage, read_file, target_path, verify_target

ROLES = ("root", "targets", "snapshot", "timestamp")


def changes_of(stage: Stage) -> tuple[str, ...]:
    """One line for each change, in the order of the roles.

    Raises:
        NotFoundError, FormatError, PublishError: A file that would be signed is missing, damaged or another one.
    """
    lines: list[str] = []
    for name in in_order(stage.roles):
        version, expires = stage.roles[name].signed.version, stage.roles[name].signed.expires
        found = list(_of_role(stage, name))
        lines.append(f"{name} {version}, good until {expires:%Y-%m-%d}{'' if found else ': signed anew, unchanged'}")
        lines += [f"  {line}" for line in found]
    return tuple(lines)


def _of_role(stage: Stage, name: str) -> Iterator[str]:
    if name == Root.type:
        for role in ROLES:
            yield from _of_keys(role, stage.base.root, stage.new_root)
    elif name == Targets.type:
        yield from _of_targets(stage.base.targets, stage.new_targets)
    else:
        yield from _of_channel(stage, name)


def _of_keys(role: str, old: Root | Targets, new: Root | Targets) -> Iterator[str]:
    before, after = old.get_delegated_role(role), new.get_delegated_role(role)
    for keyid in after.keyids:
        if keyid not in before.keyids:
            yield f"{role}: adds the key {keyid}"
    for keyid in before.keyids:
        if keyid not in after.keyids:
            yield f"{role}: removes the key {keyid}"
    if (before.threshold, len(before.keyids)) != (after.threshold, len(after.keyids)):
        yield (
            f"{role}: {after.threshold} of {len(after.keyids)} keys must sign "
            f"(so far {before.threshold} of {len(before.keyids)})"
        )


def _of_targets(old: Targets, new: Targets) -> Iterator[str]:
    before, after = _channels(old), _channels(new)
    for name in after:
        if name not in before:
            yield f"adds the channel {name}"
        else:
            yield from _of_keys(name, old, new)
            if before[name] != after[name]:
                yield f"{name}: may sign other files than before: {', '.join(after[name])}"
    for name in before.keys() - after.keys():
        yield f"removes the channel {name}"
    for target in sorted(new.targets.keys() ^ old.targets.keys()):
        yield f"{'names' if target in new.targets else 'no longer names'} the file {target}"


def _channels(targets: Targets) -> Mapping[str, list[str]]:
    roles = targets.delegations.roles if targets.delegations else None
    return {name: list(role.paths or ()) for name, role in (roles or {}).items()}


def _of_channel(stage: Stage, channel: str) -> Iterator[str]:
    catalogue = catalogue_target(channel)
    added = {info.path: data for info, data in stage.added_files(channel)}
    signed = stage.roles[channel].signed
    if isinstance(signed, Targets):
        for name in sorted(stage.base.channels[channel].targets.keys() - signed.targets.keys()):
            yield f"no longer names {name}"
    old = _old_catalogue(stage, channel)
    new = parse_catalogue(added[catalogue]) if catalogue in added else old
    for name, data in added.items():
        if name != catalogue:
            yield from _of_release(parse_release(data), new, name)
    if new is not None:
        yield from _of_catalogue(old or Catalogue(channel=channel), new)


def _of_release(release: Release, catalogue: Catalogue | None, manifest: str) -> Iterator[str]:
    yield f"release: {release.title}, {release.model} {release.role} {release.size} {release.version}"
    base = release.base_model
    yield f"  built on {base.name} ({base.licence}), under {release.licence}, for BBj Desktop {release.min_app_version}"
    for variant in release.variants:
        yield f"  {variant.quantisation}: {variant.file.length_bytes} bytes, {variant.file.digest}"
        if variant.adapter is not None:
            yield f"    with an adapter: {variant.adapter.file.length_bytes} bytes, {variant.adapter.file.digest}"
    if catalogue is None or manifest not in {entry.manifest for entry in catalogue.entries}:
        yield "  but the catalogue doesn't offer it"


def _of_catalogue(old: Catalogue, new: Catalogue) -> Iterator[str]:
    before = {entry.manifest: entry for entry in old.entries}
    after = {entry.manifest: entry for entry in new.entries}
    for manifest, entry in after.items():
        if manifest not in before:
            yield f"offers {_name(entry)}"
        elif entry.withdrawn != before[manifest].withdrawn:
            yield f"withdraws {_name(entry)}: {entry.withdrawn}" if entry.withdrawn else f"offers {_name(entry)} again"
        yield from _of_mirrors(before.get(manifest), entry)
    for manifest in before.keys() - after.keys():
        yield f"drops {_name(before[manifest])} from the catalogue"
    yield from _of_extras({each.key: each for each in old.extras}, {each.key: each for each in new.extras})
    if old.tiers != new.tiers:
        yield "replaces the tier table"
    if old.min_app_version != new.min_app_version:
        yield f"needs BBj Desktop {new.min_app_version or 'of any version'}"


def _of_mirrors(old: CatalogueEntry | None, new: CatalogueEntry) -> Iterator[str]:
    before = old.ollama_mirrors if old is not None else ()
    if new.ollama_mirrors != before:
        yield f"{_name(new)}: Ollama may pull it from {', '.join(new.ollama_mirrors) or 'nowhere'}"


def _of_extras(before: Mapping[str, Extra], after: Mapping[str, Extra]) -> Iterator[str]:
    for key, extra in after.items():
        if before.get(key) != extra:
            yield f"extra: {key} ({extra.kind}) as {extra.file_name}"
            yield f"  {extra.file.length_bytes} bytes, {extra.file.digest}"
            yield from [f"  {extra.note}"] if extra.note else []
    for key in before.keys() - after.keys():
        yield f"drops the extra {key}"


def _old_catalogue(stage: Stage, channel: str) -> Catalogue | None:
    info = stage.base.channels[channel].targets.get(catalogue_target(channel))
    if info is None:
        return None
    try:
        data = read_file(stage.folder / BASE, target_path(info))
    except NotFoundError:
        return None
    verify_target(info, data)
    return parse_catalogue(data)


def _name(entry: CatalogueEntry) -> str:
    return f"{entry.model} {entry.role} {entry.size} {entry.version}"
