"""LoRA adapters on the writer's side: reading one, and whether an engine could lay it over its base.

The format is what ``convert_lora_to_gguf.py`` of llama.cpp writes; what fits is what ``llama-adapter.cpp`` accepts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.errors import FormatError, PublishError
from bbj_desktop.core.gguf import GgufHeader, Tensor, read_header
from bbj_desktop.services.registry.draft import ModelFile, ReleaseDraft

TYPE = "general.type"
KIND = "adapter.type"
ALPHA = "adapter.lora.alpha"
INVOCATION = "adapter.alora.invocation_tokens"
ARCHITECTURE = "general.architecture"
EMBEDDING = "token_embd.weight"
A, B = ".lora_a", ".lora_b"
_MATRIX = 2  # dimensions; further ones count experts
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """An adapter of a draft that fits its base, its header read.

    Attributes:
        modified_ns: When its content last changed, by the file system, in nanoseconds.
        weights_bytes: Bytes of its tensors.
        rank: The highest of its matrices.
    """

    path: Path
    length_bytes: int
    modified_ns: int
    header: GgufHeader
    weights_bytes: int
    rank: int


def read_adapters(draft: ReleaseDraft, bases: Sequence[ModelFile]) -> tuple[AdapterFile, ...]:
    """Reads the adapters of a draft, in the order of their bases.

    Args:
        draft: Names the adapters by their bases' quantisations.
        bases: The models that they are for.

    Raises:
        PublishError: One can't be read, isn't an adapter, or doesn't fit its base; says in what.
    """
    return tuple(read_adapter(draft.adapters[base.quantisation].adapter, base) for base in bases)


def read_adapter(path: Path, base: ModelFile) -> AdapterFile:
    """Reads one adapter. Raises as ``read_adapters``."""
    try:
        with path.open("rb") as stream:
            header = read_header(stream)
        state = path.stat()
    except OSError as error:
        raise PublishError(f"{path} can't be read: {error.strerror}.") from error
    except FormatError as error:
        raise PublishError(f"{path} can't be published: {error.message}", hint=error.hint) from error
    if state.st_size < header.end:
        raise PublishError(f"{path} is cut off: {state.st_size} bytes, its header promises {header.end}.")
    _check_kind(path.name, header)
    complaints = list(_complaints(header, base.header))
    if complaints:
        more = f" (and {len(complaints) - _SHOWN} more)" if len(complaints) > _SHOWN else ""
        raise PublishError(
            f"{path.name} doesn't fit over {base.path.name}: {'; '.join(complaints[:_SHOWN])}{more}.",
            hint="Name the base that it was trained on, and convert it again with a current llama.cpp.",
        )
    return AdapterFile(
        path=path,
        length_bytes=state.st_size,
        modified_ns=state.st_mtime_ns,
        header=header,
        weights_bytes=header.end - header.data_offset,
        rank=max(tensor.shape[0] for tensor in header.tensors if tensor.name.endswith(B)),
    )


def _check_kind(name: str, header: GgufHeader) -> None:
    said = header.metadata.get(TYPE)
    if said != "adapter":
        raise PublishError(f"{name} isn't an adapter: its {TYPE} is {said!r}.", hint="Whole models belong to files.")
    kind = header.metadata.get(KIND)
    if kind != "lora":
        raise PublishError(f"{name} is an adapter of type {kind!r}; LoRA adapters can be published.")
    alpha = header.metadata.get(ALPHA)
    if not isinstance(alpha, float) or not math.isfinite(alpha):
        raise PublishError(f"{name} doesn't say its {ALPHA}, so its strength isn't known.")
    if INVOCATION in header.metadata:
        raise PublishError(f"{name} is switched on by words of the prompt: not every engine here knows such adapters.")
    if not header.tensors:
        raise PublishError(f"{name} has no tensors.")


def _complaints(adapter: GgufHeader, base: GgufHeader) -> Iterator[str]:
    """What keeps an adapter from being laid over a base, in words."""
    theirs, ours = base.metadata.get(ARCHITECTURE), adapter.metadata.get(ARCHITECTURE)
    if ours != theirs:
        yield f"it is for {ours}, the base is {theirs}"
        return
    tensors = {tensor.name: tensor for tensor in adapter.tensors}
    targets = {tensor.name: tensor for tensor in base.tensors}
    for name in tensors:
        if not name.endswith((A, B)):
            yield f"{name} is neither a {A} nor a {B}"
    for stem in dict.fromkeys(name[: -len(A)] for name in tensors if name.endswith((A, B))):
        first, second, target = tensors.get(stem + A), tensors.get(stem + B), targets.get(stem)
        if first is None or second is None:
            yield f"{stem}{B if second is None else A} is missing"
        elif target is None:
            yield f"the base has no {stem}"
        elif not _fits(first, second, target):
            yield f"{stem} is {_size(target)}, which {_size(first)} and {_size(second)} don't make"


def _fits(first: Tensor, second: Tensor, target: Tensor) -> bool:
    """Whether B * A has the target's shape (``llama-adapter.cpp``, the checks before "map tensors")."""
    if not len(first.shape) == len(second.shape) == len(target.shape) >= _MATRIX:
        return False
    if first.shape[_MATRIX:] != target.shape[_MATRIX:] or second.shape[_MATRIX:] != target.shape[_MATRIX:]:
        return False
    if target.name == EMBEDDING:  # looked up by rows, so both are the other way round
        return target.shape[:2] == (second.shape[1], first.shape[1]) and first.shape[0] == second.shape[0]
    return target.shape[:2] == (first.shape[0], second.shape[1]) and first.shape[1] == second.shape[0]


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))
