"""What the stand-in Ollama keeps: models and their blobs, in memory or in a real folder as ``docs/ollama.md`` says."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIBRARY = "manifests/registry.ollama.ai/library"
PRUNED_AFTER_S = 3600.0  # ollama.md:26 `older than 1 h`
_LAYER = "application/vnd.ollama.image."


@dataclass(frozen=True)
class Model:
    """What a manifest names.

    Attributes:
        manifest: Digest of the manifest, where it came as one.
        config: Digest of its config, likewise.
        others: Digests of its texts, likewise.
    """

    blob: str
    template: str
    system: str
    parameters: Mapping[str, Any]
    licences: tuple[str, ...]
    adapter: str | None = None
    manifest: str = field(default="", compare=False)
    others: tuple[str, ...] = field(default=(), compare=False)

    @property
    def digest(self) -> str:
        if self.manifest:
            return self.manifest
        parts = [self.blob, self.template, self.system, dict(self.parameters), self.licences, self.adapter]
        text = json.dumps(parts, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def digests(self) -> frozenset[str]:
        """All blobs that it needs."""
        return frozenset({self.blob, *self.others, *([self.adapter] if self.adapter else [])})


class BrokenManifestError(Exception):
    """A manifest that Ollama can't read: ollama.md:25 `unexpected EOF`."""


def model_of(manifest: bytes, blobs: Mapping[str, bytes]) -> Model:
    """Reads a manifest as Ollama does; texts are looked up among the blobs."""
    try:
        parsed = json.loads(manifest)
        layers = [(layer["mediaType"].removeprefix(_LAYER), layer["digest"]) for layer in parsed["layers"]]
        config = parsed["config"]["digest"]
    except (ValueError, KeyError) as error:
        raise BrokenManifestError from error

    def text(kind: str) -> str:
        return next((blobs[digest].decode() for name, digest in layers if name == kind), "")

    return Model(
        blob=next(digest for name, digest in layers if name == "model"),
        template=text("template"),
        system=text("system"),
        parameters=json.loads(text("params") or "{}"),
        licences=tuple(blobs[digest].decode() for name, digest in layers if name == "license"),
        adapter=next((digest for name, digest in layers if name == "adapter"), None),
        manifest=hashlib.sha256(manifest).hexdigest(),
        others=(config, *(digest for name, digest in layers if name not in {"model", "adapter"})),
    )


def manifest_of(model: Model, blobs: MutableMapping[str, bytes]) -> bytes:
    """Writes a manifest as Ollama does, the texts among the blobs."""

    def put(kind: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if digest not in blobs:
            blobs[digest] = content
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    files = [("model", model.blob), *([("adapter", model.adapter)] if model.adapter else [])]
    texts = [("template", model.template), ("system", model.system), *(("license", text) for text in model.licences)]
    texts.append(("params", json.dumps(dict(model.parameters))))
    layers = [
        {"mediaType": _LAYER + kind, "digest": digest, "size": len(blobs.get(digest, b""))} for kind, digest in files
    ]
    layers += [put(_LAYER + kind, text.encode()) for kind, text in texts if text]
    config = put("application/vnd.docker.container.image.v1+json", b'{"model_format":"gguf"}')
    return json.dumps({"schemaVersion": 2, "config": config, "layers": layers}).encode()


class FolderBlobs(MutableMapping[str, bytes]):
    """``blobs/sha256-<hex>`` of a models folder."""

    def __init__(self, models: Path) -> None:
        self._folder = models / "blobs"
        self._folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        return self._folder / digest.replace(":", "-")

    def __getitem__(self, digest: str) -> bytes:
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError:
            raise KeyError(digest) from None

    def __setitem__(self, digest: str, content: bytes) -> None:
        self.path(digest).unlink(missing_ok=True)  # never through a second name of somebody's file
        self.path(digest).write_bytes(content)

    def __delitem__(self, digest: str) -> None:
        try:
            self.path(digest).unlink()
        except FileNotFoundError:
            raise KeyError(digest) from None

    def __contains__(self, digest: object) -> bool:
        return isinstance(digest, str) and self.path(digest).is_file()

    def __iter__(self) -> Iterator[str]:
        names = sorted(path.name for path in self._folder.iterdir() if path.name.startswith("sha256-"))
        return iter([name.replace("-", ":", 1) for name in names])

    def __len__(self) -> int:
        return len(list(iter(self)))


class FolderModels(MutableMapping[str, Model]):
    """The manifests of a models folder; those of other registries by their whole names."""

    def __init__(self, models: Path, blobs: FolderBlobs) -> None:
        self._root = models / "manifests"
        self._blobs = blobs

    def path(self, name: str) -> Path:
        model, _, tag = name.rpartition(":")
        return self._root / model / tag if "/" in model else self._root.parent / LIBRARY / model / tag

    def __getitem__(self, name: str) -> Model:
        try:
            return model_of(self.path(name).read_bytes(), self._blobs)
        except OSError:
            raise KeyError(name) from None

    def __setitem__(self, name: str, model: Model) -> None:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(manifest_of(model, self._blobs))

    def copy(self, source: str, destination: str) -> None:
        content = self.path(source).read_bytes()
        self.path(destination).parent.mkdir(parents=True, exist_ok=True)
        self.path(destination).write_bytes(content)

    def put(self, name: str, manifest: bytes) -> None:
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_bytes(manifest)

    def __delitem__(self, name: str) -> None:
        try:
            self.path(name).unlink()
        except OSError:
            raise KeyError(name) from None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.path(name).is_file()

    def __iter__(self) -> Iterator[str]:
        paths = sorted(path for path in self._root.rglob("*") if path.is_file())
        return iter([self._name(path) for path in paths])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self._root).parts
        model = parts[-2] if parts[:2] == ("registry.ollama.ai", "library") else "/".join(parts[:-1])
        return f"{model}:{parts[-1]}"

    def prune(self) -> None:
        """What a start does: ollama.md:26 `prunes blobs that no manifest names`; a broken manifest stops it."""
        try:
            named = {digest for model in self.values() for digest in model.digests}
        except BrokenManifestError:
            return
        for digest in self._blobs:
            if digest not in named and time.time() - self._blobs.path(digest).stat().st_mtime > PRUNED_AFTER_S:
                del self._blobs[digest]
