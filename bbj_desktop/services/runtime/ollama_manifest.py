"""Ollama's own format of a model: a manifest that names layers, as in its registry and in its folder.

Media types and the parts of the config are those of ``docs/ollama.md``, "store".
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama_release import licences_of, parameters_of

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.ollama.image."


@dataclass(frozen=True, slots=True)
class Layer:
    """One blob of a model.

    Attributes:
        kind: Its media type.
        digest: ``sha256:<hex>``.
        content: A text's bytes; None for a file.
        path: A file's place here, where there is one.
    """

    kind: str
    digest: str
    length_bytes: int
    content: bytes | None = None
    path: Path | None = None

    def described(self) -> dict[str, Any]:
        return {"mediaType": self.kind, "digest": self.digest, "size": self.length_bytes}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A model.

    Attributes:
        config: The blob with what the model is.
        layers: The files and texts, the weights first.
    """

    config: Layer
    layers: tuple[Layer, ...]

    @property
    def blobs(self) -> tuple[Layer, ...]:
        """Everything that the manifest names."""
        return (*self.layers, self.config)

    def to_bytes(self) -> bytes:
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST_TYPE,
                "config": self.config.described(),
                "layers": [layer.described() for layer in self.layers],
            }
        )


def manifest_of(version: InstalledVersion) -> Manifest:
    """A version as Ollama would have it: the signed files, template, system prompt, licences and parameters."""
    prompt = version.release.prompt
    texts = [("template", prompt.go_template), ("system", prompt.system)]
    texts += [("license", text) for text in licences_of(version.release)]
    kinds = ("model", "adapter")
    files = [
        Layer(_LAYER_TYPE + kind, part.file.digest, part.file.length_bytes, path=path)
        for kind, (part, path) in zip(kinds, version.files, strict=False)
    ]
    layers = [*files, *(_text(_LAYER_TYPE + kind, text.encode()) for kind, text in texts if text)]
    layers.append(_text(_LAYER_TYPE + "params", _json(parameters_of(version))))
    return Manifest(_text(_CONFIG_TYPE, _json(_config_of(version, layers))), tuple(layers))


def _config_of(version: InstalledVersion, layers: list[Layer]) -> dict[str, Any]:
    variant = version.variant
    family = variant.architecture.name
    return {
        "model_format": "gguf",
        "model_family": family,
        "model_families": [family],
        "model_type": _human(variant.architecture.parameters),
        "file_type": variant.weights_quantisation,
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
    }


def _human(count: int) -> str:
    """7615616512 → ``7.6B``; as Ollama prints the number of parameters."""
    for limit, letter, digits in ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 2)):
        if count >= limit:
            return f"{count / limit:.{digits}f}{letter}"
    return str(count)


def _text(kind: str, content: bytes) -> Layer:
    return Layer(kind, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content), content=content)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
