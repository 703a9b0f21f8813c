"""Asks NVIDIA's management library. Runs in a child: it is native code of a driver.

Source of the calls: NVML API reference, https://docs.nvidia.com/deploy/nvml-api/.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def read_nvml() -> Iterator[tuple[str, Any]]:
    """Yields ``driver_version``, ``count`` and one answer a GPU (``gpu 0`` …), or ``error``.

    What NVML refuses stands as ``{"error": code, "text": …}`` in the place of the value.
    """
    try:
        import pynvml
    except ImportError as error:
        yield "error", {"call": "import", "text": str(error)}
        return
    nvml = _Nvml(pynvml)
    started = nvml.ask("nvmlInit")
    if _is_error(started):
        yield "error", {"call": "nvmlInit", **started}
        return
    yield "driver_version", nvml.ask("nvmlSystemGetDriverVersion")
    count = nvml.ask("nvmlDeviceGetCount")
    yield "count", count
    for index in range(0 if _is_error(count) else count):
        yield f"gpu {index}", nvml.gpu(index)
    nvml.ask("nvmlShutdown")


class _Nvml:
    def __init__(self, module: Any) -> None:
        self._module = module

    def ask(self, call: str, *arguments: object) -> Any:
        """The plain value, or the error as a value."""
        try:
            value = getattr(self._module, call)(*arguments)
        except self._module.NVMLError as error:
            return {"error": getattr(error, "value", None), "text": str(error)}
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def gpu(self, index: int) -> dict[str, Any]:
        handle = self.ask("nvmlDeviceGetHandleByIndex", index)
        if _is_error(handle):
            return dict(handle)
        memory_clock = self._module.NVML_CLOCK_MEM
        return {
            "name": self.ask("nvmlDeviceGetName", handle),
            "memory": self._memory(handle),
            "compute_capability": self.ask("nvmlDeviceGetCudaComputeCapability", handle),
            "max_memory_clock_mhz": self.ask("nvmlDeviceGetMaxClockInfo", handle, memory_clock),
            "memory_bus_width_bits": self.ask("nvmlDeviceGetMemoryBusWidth", handle),
            "mig_mode": self.ask("nvmlDeviceGetMigMode", handle),
            "mig": self._instances(handle),
        }

    def _memory(self, handle: object) -> Any:
        memory = self.ask("nvmlDeviceGetMemoryInfo", handle)
        return memory if _is_error(memory) else {"total": memory.total, "free": memory.free, "used": memory.used}

    def _instances(self, handle: object) -> list[dict[str, Any]]:
        """MIG instances, only where the mode is on: the other calls are errors or slow elsewhere."""
        mode = self.ask("nvmlDeviceGetMigMode", handle)
        if _is_error(mode) or not mode[0]:
            return []
        count = self.ask("nvmlDeviceGetMaxMigDeviceCount", handle)
        handles = [
            self.ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
            for index in range(0 if _is_error(count) else count)
        ]
        return [
            {"name": self.ask("nvmlDeviceGetName", instance), "memory": self._memory(instance)}
            for instance in handles
            if not _is_error(instance)
        ]


def _is_error(value: object) -> bool:
    return isinstance(value, dict) and "error" in value
