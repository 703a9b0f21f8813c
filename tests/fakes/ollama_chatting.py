"""The stand-in for Ollama's calls that load a model and let it answer. Cites ``docs/ollama.md`` line by line."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from jinja2 import TemplateError

from bbj_desktop.core.go_syntax import NotCheckableError
from tests.fakes.ollama_registering import RegisteringHandler
from tests.fakes.ollama_rendering import render_prompt

_NOW = "2026-01-01T00:00:00Z"


class ChattingHandler(RegisteringHandler):
    """Chat, completion, rendering of prompts, unloading.

    Attributes:
        loads: The model wasn't in memory before this request.
    """

    loads = False

    def _unload(self, body: dict[str, Any]) -> None:
        # ollama.md:52 `unload`
        if body.get("keep_alive") != 0:
            self.fake.problems.append("generate without a prompt is used for unloading only")
        if body["model"] not in self.fake.models:
            return self.unknown(body["model"])
        self.fake.loaded.discard(body["model"])
        answer = {"model": body["model"], "created_at": _NOW, "response": "", "done": True, "done_reason": "unload"}
        return self.json(200, answer)

    def _chat(self, body: dict[str, Any]) -> None:
        name, options = body["model"], body["options"]
        if "num_ctx" not in options:
            self.fake.problems.append("chat without num_ctx")
        if name not in self.fake.models:
            return self.unknown(name)
        self.loads = name not in self.fake.loaded
        self.fake.loaded.add(name)
        if body.get("_debug_render_only") and self.fake.rewrites:  # ollama.md:48 `shows the rendered prompt`
            return self._show_prompt(body)
        words = sum(len(message["content"].split()) for message in body["messages"])
        # ollama.md:53 `4096 without VRAM`, and `truncate:false` refuses instead of cutting
        if words > options.get("num_ctx", 4096) and body.get("truncate") is False:
            return self.json(400, {"error": self._too_long(words, options["num_ctx"])})
        return self._write(body, lambda piece: {"message": {"role": "assistant", "content": piece}})

    def _complete(self, body: dict[str, Any]) -> None:
        # ollama.md:48 `with FIM tokens in the prompt works`
        if body.get("raw") is not True or "num_ctx" not in body["options"]:
            self.fake.problems.append("a completion that isn't raw, or without num_ctx")
        if body["model"] not in self.fake.models:
            return self.unknown(body["model"])
        self.loads = body["model"] not in self.fake.loaded
        self.fake.loaded.add(body["model"])
        words = len(body["prompt"].split())
        if words > body["options"]["num_ctx"] and body.get("truncate") is False:
            return self.json(400, {"error": self._too_long(words, body["options"]["num_ctx"])})
        return self._write(body, lambda piece: {"response": piece})

    def _write(self, body: dict[str, Any], said: Callable[[str], dict[str, Any]]) -> None:
        name, options = body["model"], body["options"]
        answer = self.fake.answers.pop(0) if self.fake.answers else self.fake.answer
        pieces = list(answer)[: -1 if self.fake.cut_short else options.get("num_predict")]
        # ollama.md:52 `last one adds `: the reason it ended, and durations in nanoseconds
        cut = len(pieces) < len(answer)
        lines = [{"model": name, "created_at": _NOW, **said(piece), "done": False} for piece in pieces]
        last = {
            "model": name,
            "created_at": _NOW,
            **said(""),
            "done": True,
            "done_reason": "length" if cut else "stop",
            "total_duration": 900_000_000,
            "load_duration": 250_000_000 if self.loads else 20_000_000,
            "prompt_eval_count": 20,
            "prompt_eval_duration": 100_000_000,
            "eval_count": len(pieces),
            "eval_duration": len(pieces) * 50_000_000,
        }
        if body.get("stream") is False:
            return self.json(200, {**last, **said("".join(pieces))})
        self.stream([*lines, last])
        return None

    def _show_prompt(self, body: dict[str, Any]) -> None:
        model = self.fake.models[body["model"]]
        try:
            prompt = self.fake.rendered or render_prompt(model, self.fake.blobs[model.blob], body["messages"])
        except (NotCheckableError, TemplateError) as error:
            return self.json(500, {"error": f"template: {error}"})
        shown = {"model": body["model"], "_debug_info": {"rendered_template": prompt}}
        return self.json(200, shown) if self.fault is None else self.stream([shown])

    def _too_long(self, words: int, context: int) -> str:
        if not self.fake.rewrites:  # ollama.md:53 `in new versions`
            return "the input length exceeds the context length"
        said = f"request ({words} tokens) exceeds the available context size ({context} tokens), try increasing it"
        details = {"code": 400, "message": said, "type": "exceed_context_size_error"}
        return json.dumps({"error": {**details, "n_prompt_tokens": words, "n_ctx": context}})  # JSON inside the text
