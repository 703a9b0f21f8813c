"""The stand-in for Ollama's calls about blobs and models. Cites ``docs/ollama.md`` line by line."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.fakes.ollama_http import SpeakingHandler
from tests.fakes.ollama_models import FolderModels, Model
from tests.fakes.ollama_pulling import PullError, pulled

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class RegisteringHandler(SpeakingHandler):
    """Blobs, create, show, copy, delete, pull, and the lists of models."""

    def _blob(self, method: str, digest: str) -> None:
        if not _DIGEST.fullmatch(digest):
            return self.json(400, {"error": "invalid digest format"})  # ollama.md:20 `malformed digest 400`
        if method == "HEAD":
            return self.empty(200 if digest in self.fake.blobs else 404)  # ollama.md:20 `200/404`
        if "Content-Length" not in self.headers:
            self.fake.problems.append("a blob without Content-Length")
            return self.json(411, {"error": "length required"})
        content = self._receive(int(self.headers["Content-Length"]))
        known = digest in self.fake.blobs
        true = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.fake.own.add(true)
        self.fake.count_written(len(content))
        self.fake.blobs[true] = content  # ollama.md:20 `the bytes stay stored under their true digest`
        if true != digest:  # ollama.md:20 `wrong content 400`
            return self.json(400, {"error": f'digest mismatch, expected "{digest}", got "{true}"'})
        return self.empty(200 if known else 201)  # ollama.md:20 `201, again 200`

    def _receive(self, length: int) -> bytes:
        pieces: list[bytes] = []
        while length:
            if self.fault is not None and self.fault.kind == "drop" and len(pieces) >= self.fault.after:
                self.close_connection = True
                raise ConnectionAbortedError
            piece = self.rfile.read(min(length, 65536))
            if not piece:
                raise ConnectionResetError
            time.sleep(self.fake.piece_s)
            pieces.append(piece)
            length -= len(piece)
        return b"".join(pieces)

    def _models(self, names: Iterable[str]) -> None:
        # ollama.md:54 `leaves out process overhead`
        entries = [self._entry(name) for name in names]
        share = self.fake.vram_share
        self.json(200, {"models": [{**each, "size_vram": int(each["size"] * share)} for each in entries]})

    def _entry(self, name: str) -> dict[str, Any]:
        model = self.fake.models[name]
        size = len(self.fake.blobs.get(model.blob, b""))
        return {"name": name, "model": name, "digest": model.digest, "size": size, "details": {"family": "llama"}}

    def unknown(self, name: str) -> None:
        # ollama.md:59 `model 'x' not found`
        self.json(404, {"error": f"model '{name}' not found"})

    def _create(self, body: dict[str, Any]) -> None:
        name, files = body["model"], body["files"]
        (file_name, digest), *_ = files.items()
        if not file_name.endswith(".gguf"):  # ollama.md:60 `a name without`
            return self.json(400, {"error": "unknown type"})
        if digest not in self.fake.blobs:  # ollama.md:60 `no such file or directory`
            path = f"/models/blobs/{digest.replace(':', '-')}"
            self.stream([{"error": f"open {path}: no such file or directory"}])
            return None
        wrong = self._wrong_with(body.get("adapters"))
        if wrong:
            return self.json(400, {"error": wrong})
        content = self.fake.blobs[digest]
        if not content.startswith(b"GGUF") and self.fake.rewrites:  # ollama.md:62 `bad GGUF (new)`
            return self.json(500, {"error": "failed to validate GGUF with llama-quantize: exit status 1"})
        if body.get("template", "").count("{{") != body.get("template", "").count("}}"):
            # ollama.md:61 `unclosed action`
            self.stream([{"status": "parsing GGUF"}, {"error": "template error: template: :1: unclosed action"}])
            return None
        self.stream(self._creation(name, digest, body))
        return None

    def _wrong_with(self, adapters: Mapping[str, str] | None) -> str:
        # ollama.md:18 `"adapters":{}`, and `only one adapter is currently supported`
        if adapters is None:
            return ""
        if not adapters or not all(name.endswith(".gguf") for name in adapters):
            return "unknown type"
        if self.fake.numbers >= (0, 34, 1):
            return "ADAPTER is not supported"  # ollama.md:19 `reported to reject`; its words aren't recorded
        if len(adapters) > 1:
            return "only one adapter is currently supported"
        (digest,) = adapters.values()
        if digest not in self.fake.blobs:
            return f"open /models/blobs/{digest.replace(':', '-')}: no such file or directory"
        return "" if b"adapter" in self.fake.blobs[digest][:4096] else "not an adapter"

    def _creation(self, name: str, digest: str, body: dict[str, Any]) -> Iterator[dict[str, str]]:
        """ollama.md:14 `{"status":"parsing GGUF"}`. The model is there before "success", not if it breaks off."""
        yield {"status": "parsing GGUF"}
        yield {"status": f"using existing layer {digest}"}
        served = self._copied(digest)
        yield {"status": f"creating new layer {served}"}
        yield {"status": "writing manifest"}
        licences = body.get("license", ())
        self.fake.models[name] = Model(
            blob=served,
            template=body.get("template", ""),
            system=body.get("system", ""),
            parameters=body.get("parameters", {}),
            licences=(licences,) if isinstance(licences, str) else tuple(licences),
            adapter=next(iter(body.get("adapters", {}).values()), None),
        )
        yield {"status": "success"}

    def _copied(self, digest: str) -> str:
        """ollama.md:16 `the stored digest differs`, ollama.md:16 `COPY is idempotent`. (Here: another last word.)"""
        content = self.fake.blobs[digest]
        if not self.fake.rewrites or content.endswith(b"COPY"):
            return digest
        content = content[:-4] + b"COPY"
        served = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.fake.own.add(served)
        self.fake.count_written(len(content))
        self.fake.blobs[served] = content
        return served

    def _show(self, body: dict[str, Any]) -> None:
        # ollama.md:49 `modelfile, parameters` (text), …
        model = self.fake.models.get(body["model"])
        if model is None:
            return self.unknown(body["model"])
        shown = {
            "modelfile": f"# Modelfile\n\n{_layers(model)}TEMPLATE …\n",
            "parameters": "\n".join(_printed(model.parameters)),
            "template": model.template,
            "details": {"family": "llama"},
            "model_info": {},
            "license": "\n".join(model.licences),
            "capabilities": ["completion"],
        }
        if model.system:
            shown["system"] = model.system
        return self.json(200, shown | self.fake.show_override)

    def _copy(self, body: dict[str, Any]) -> None:
        # ollama.md:23 `leave the blobs intact`
        models, source = self.fake.models, body["source"]
        if source not in models:
            return self.unknown(source)
        if self._is_foreign(models[source]):  # ollama.md:26 `operation not permitted`
            path = f"/models/blobs/{models[source].blob.replace(':', '-')}"
            return self.json(500, {"error": f"chtimes {path}: operation not permitted"})
        if isinstance(models, FolderModels):
            models.copy(source, body["destination"])
        else:
            models[body["destination"]] = models[source]
        return self.empty(200)

    def _delete(self, body: dict[str, Any]) -> None:
        model = self.fake.models.get(body["model"])
        if model is None:
            return self.unknown(body["model"])
        if self._is_foreign(model):  # ollama.md:26 `permission denied`
            return self.json(500, {"error": f"remove /models/manifests/{body['model']}: permission denied"})
        del self.fake.models[body["model"]]
        self.fake.drop_unnamed(model)
        return self.empty(200)

    def _is_foreign(self, model: Model) -> bool:
        return self.fake.service_user and model.blob not in self.fake.own

    def _pull(self, body: dict[str, Any]) -> None:
        """ollama.md:23 `{"status":"pulling manifest"}`; ollama.md:15 `an error is the last line`."""

        def lines() -> Iterator[dict[str, Any]]:
            try:
                yield from pulled(self.fake, body["model"], insecure=bool(body.get("insecure")))
            except PullError as error:
                yield {"error": str(error)}

        self.stream(lines())


def _printed(parameters: Mapping[str, Any]) -> Iterable[str]:
    """As Ollama prints them (docs/api.md, "Show Model Information"): a padded name and a Go literal; lists by line."""
    for name, value in sorted(parameters.items(), reverse=True):
        for item in value if isinstance(value, list) else [value]:
            literal = f'"{item}"' if isinstance(item, str) else f"{item:g}"
            yield f"{name:<30} {literal}"


def _layers(model: Model) -> str:
    """The lines of a Modelfile that name blobs."""
    named = [("FROM", model.blob), *([("ADAPTER", model.adapter)] if model.adapter else [])]
    return "".join(f"{what} /var/lib/models/blobs/{digest.replace(':', '-')}\n" for what, digest in named)
