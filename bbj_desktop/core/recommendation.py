"""What a recommendation says: values only. ``core.recommend`` decides, the faces show."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.release import Release, Role, Tier, Variant
from bbj_desktop.core.versions import Selection


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class ReasonKind(StrEnum):
    DECIDED = "decided"  # which limit decided
    MORE = "more"  # what more (or a larger model) would need
    CLOSE = "close"  # what to close to make room
    EXPECT = "expect"  # what to expect
    ENGINE = "engine"  # what the choice of runtime means
    WARNING = "warning"  # what speaks against it


class Reason(_Value):
    """One sentence of an explanation.

    Attributes:
        code: Stable name of the sentence, for scripts and translations, e.g. ``vram_decides``.
        text: The sentence in English.
        values: The numbers and names in it, by name.
    """

    kind: ReasonKind
    code: str
    text: str
    values: dict[str, str | int | float] = {}


class MemoryNeed(_Value):
    """Memory in one place (a GPU, or main memory), in bytes, by what it is for.

    Attributes:
        weights_bytes: Model buffers as llama.cpp reports them: the mapped file and copies in the CPU's own layout.
        overhead_bytes: The engine's process itself.
        reclaimable_bytes: Part of the weights: pages of the mapped file whose tensors were copied elsewhere. The system
            takes them back when memory is short, so they don't decide whether something fits.
    """

    weights_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0
    overhead_bytes: int = 0
    reclaimable_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        return self.weights_bytes + self.kv_bytes + self.compute_bytes + self.overhead_bytes

    @property
    def needed_bytes(self) -> int:
        """What must be there for good."""
        return self.total_bytes - self.reclaimable_bytes


class Placement(StrEnum):
    GPU = "gpu"  # everything in graphics memory
    SPLIT = "split"  # some blocks in graphics memory, the rest in main memory
    CPU = "cpu"  # main memory
    UNIFIED = "unified"  # Apple: one memory for both


class Fit(_Value):
    """How one variant at one context length would lie in a machine's memory.

    Attributes:
        gpu_layers: Blocks on the GPU; 0 on the CPU.
        ram: What it takes of main memory.
        vram: What it takes of graphics memory; None without a GPU.
        gpu_index: Position in ``profile.gpus`` of the GPU used (the first one, when several share it); None without.
        fits: It can run like this.
        short_bytes: What is missing where it is missing most; 0 when it fits.
        measured: From the publisher's table (True) or from formulas alone (False).
    """

    context_length: int
    placement: Placement
    gpu_layers: int = 0
    ram: MemoryNeed
    vram: MemoryNeed | None = None
    gpu_index: int | None = None
    fits: bool
    short_bytes: int = 0
    measured: bool = False


class Expectation(_Value):
    """What to expect, as ranges, because memory bandwidth is estimated.

    Attributes:
        tokens_per_s: Decode speed, low and high.
        ttft_2000_s: Seconds to the first token of a 2,000-token prompt, low and high.
        basis: Where the numbers come from, for a person.
        measured: The decode speed was measured on this machine.
        prefill_measured: So was the prefill speed.
    """

    tokens_per_s: tuple[float, float]
    ttft_2000_s: tuple[float, float]
    basis: str
    measured: bool = False
    prefill_measured: bool = False


class Candidate(_Value):
    """One variant, judged for this machine.

    Attributes:
        selection: What would be installed.
        runtime: What would run it.
        can_run: It fits memory and disk and the processor can run it.
        disk_bytes: What the download takes on the store's volume.
        reasons: In the order in which they should be read.
    """

    selection: Selection
    runtime: Literal["ollama", "embedded"]
    fit: Fit
    expectation: Expectation
    can_run: bool
    disk_bytes: int
    reasons: tuple[Reason, ...] = ()

    @property
    def release(self) -> Release:
        return self.selection.offer.release

    @property
    def variant(self) -> Variant:
        return self.selection.variant


class RoleChoice(_Value):
    """The recommendation for one role.

    Attributes:
        choice: The recommended variant, or None.
        reasons: Why this one, or why none.
        others: Every other variant offered for the role, judged the same way, best first.
    """

    role: Role
    choice: Candidate | None
    reasons: tuple[Reason, ...]
    others: tuple[Candidate, ...] = ()


class Recommendation(_Value):
    """What this machine should get.

    Attributes:
        tier: The tier whose demands this machine meets; None below Minimum.
        choices: One for each role, chat first. Together they fit.
        remarks: What concerns the machine as a whole, e.g. a GPU that no engine here can use.
    """

    format: int = 1
    tier: Tier | None
    choices: tuple[RoleChoice, ...]
    remarks: tuple[Reason, ...] = ()

    def for_role(self, role: Role) -> RoleChoice | None:
        return next((choice for choice in self.choices if choice.role is role), None)


class Wishes(_Value):
    """What the user asks for; everything may be left open.

    Attributes:
        roles: Which roles; those not named get nothing.
        model: Only this model.
        size: Only this size.
        quantisation: Only this quantisation.
        version: Only this version of a release; None takes the newest.
        context_length: Tokens of context; None takes the release's, or less where memory is short.
        runtime: Only this runtime.
        concurrency: Conversations at once; each has a KV cache of its own.
    """

    roles: tuple[Role, ...] = (Role.CHAT, Role.FIM)
    model: str | None = None
    size: str | None = None
    quantisation: str | None = None
    version: str | None = None
    context_length: int | None = None
    runtime: Literal["ollama", "embedded"] | None = None
    concurrency: int = 1
