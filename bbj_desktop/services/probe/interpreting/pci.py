"""AMD's and Intel's GPUs on Linux, from sysfs.

Source: the kernel's ``Documentation/gpu/amdgpu/driver-misc.rst`` (mem_info_*, product_name), ``thermal.rst`` (hwmon).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from bbj_desktop.core.hardware import Gpu, GpuKind
from bbj_desktop.services.probe.raw import RawInputs

_VENDORS: dict[str, Literal["amd", "intel"]] = {"0x1002": "amd", "0x8086": "intel"}
_AMD_NAMES = "/usr/share/libdrm/amdgpu.ids"
_PCI_NAMES = ("/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids")
# What is often met, for machines without those lists: (vendor, device, revision or "") as in libdrm and the PCI IDs.
_KNOWN = {
    ("amd", "744c", "c8"): "AMD Radeon RX 7900 XTX",
    ("amd", "744c", "cc"): "AMD Radeon RX 7900 XT",
    ("amd", "744c", "ce"): "AMD Radeon RX 7900 GRE",
    ("amd", "7480", ""): "AMD Radeon RX 7600",
    ("amd", "747e", "c8"): "AMD Radeon RX 7800 XT",
    ("amd", "73bf", ""): "AMD Radeon RX 6800/6900",
    ("amd", "73df", ""): "AMD Radeon RX 6700 XT",
    ("amd", "73ff", ""): "AMD Radeon RX 6600",
    ("amd", "7550", ""): "AMD Radeon RX 9070",
    ("amd", "15bf", ""): "AMD Radeon 780M",
    ("amd", "1638", ""): "AMD Radeon Vega (Cezanne)",
    ("amd", "164e", ""): "AMD Radeon Graphics (Raphael)",
    ("amd", "1681", ""): "AMD Radeon 680M",
    ("amd", "150e", ""): "AMD Radeon 890M",
    ("amd", "1586", ""): "AMD Radeon 8060S",
    ("intel", "9a49", ""): "Intel Iris Xe Graphics",
    ("intel", "46a6", ""): "Intel Iris Xe Graphics",
    ("intel", "a7a0", ""): "Intel Iris Xe Graphics",
    ("intel", "7d55", ""): "Intel Arc Graphics",
    ("intel", "3e92", ""): "Intel UHD Graphics 630",
    ("intel", "5917", ""): "Intel UHD Graphics 620",
    ("intel", "56a0", ""): "Intel Arc A770 Graphics",
    ("intel", "e20b", ""): "Intel Arc B580 Graphics",
}


def pci_gpus(raw: RawInputs) -> tuple[Gpu, ...]:
    """AMD's, then Intel's cards, each in the order of their card numbers."""
    gpus = [gpu for vendor in ("0x1002", "0x8086") for gpu in _numbered(raw, vendor)]
    return tuple(gpus)


def _numbered(raw: RawInputs, vendor: str) -> Iterator[Gpu]:
    cards = [
        (int(match[2]), match[1])
        for path in raw.files
        if (match := re.fullmatch(r"(/sys/class/drm/card(\d+))/device/vendor", path)) and raw.text(path) == vendor
    ]
    for index, (_, card) in enumerate(sorted(cards)):
        yield (_amd if vendor == "0x1002" else _intel)(raw, card, index)


def _amd(raw: RawInputs, card: str, index: int) -> Gpu:
    total = raw.number(f"{card}/device/mem_info_vram_total")
    used = raw.number(f"{card}/device/mem_info_vram_used")
    return Gpu(
        vendor="amd",
        name=_name(raw, card),
        kind=GpuKind.INTEGRATED if _is_apu(raw, card) else GpuKind.DISCRETE,
        index=index,
        vram_total_bytes=total,
        vram_free_bytes=max(total - used, 0) if total is not None and used is not None else None,
        driver=_driver(raw, card),
    )


def _is_apu(raw: RawInputs, card: str) -> bool:
    """Whether the GPU is part of the processor.

    amdgpu shows a north bridge voltage for APUs only (``amdgpu_pm.c``: "only APUs have vddnb"), and a memory maker for
    cards only. With neither, a GPU that borrows more than it owns is taken for an APU.
    """
    labels = [text for path, text in raw.files.items() if path.startswith(f"{card}/") and path.endswith("/in1_label")]
    if any(label.strip() == "vddnb" for label in labels):
        return True
    if raw.text(f"{card}/device/mem_info_vram_vendor") not in (None, "", "unknown"):
        return False
    own = raw.number(f"{card}/device/mem_info_vram_total") or 0
    return own < 4 * 2**30 and (raw.number(f"{card}/device/mem_info_gtt_total") or 0) > own


def _intel(raw: RawInputs, card: str, index: int) -> Gpu:
    """Intel's integrated GPU is always device 2 of the first bus; a card of its own has local memory.

    ``lmem_total_bytes`` is i915's, ``physical_vram_size_bytes`` xe's name for it; not every kernel has them.
    """
    slot = re.search(r"^PCI_SLOT_NAME=(.+)$", raw.files.get(f"{card}/device/uevent", ""), re.MULTILINE)
    integrated = slot is None or slot[1].strip().endswith("00:02.0")
    total = raw.number(f"{card}/lmem_total_bytes") or raw.number(f"{card}/device/tile0/physical_vram_size_bytes")
    return Gpu(
        vendor="intel",
        name=_name(raw, card),
        kind=GpuKind.INTEGRATED if integrated else GpuKind.DISCRETE,
        index=index,
        vram_total_bytes=total,
        vram_free_bytes=raw.number(f"{card}/lmem_avail_bytes"),
        driver=_driver(raw, card),
    )


def _driver(raw: RawInputs, card: str) -> str | None:
    """The kernel's driver: its version is the kernel's."""
    found = re.search(r"^DRIVER=(.+)$", raw.files.get(f"{card}/device/uevent", ""), re.MULTILINE)
    return found[1].strip() if found else None


def _name(raw: RawInputs, card: str) -> str:
    """The card's own name, else libdrm's, else the PCI list's, else ours, else the number."""
    vendor = _VENDORS[raw.text(f"{card}/device/vendor") or ""]
    device = _hex(raw.text(f"{card}/device/device"))
    revision = _hex(raw.text(f"{card}/device/revision"))
    own = raw.text(f"{card}/device/product_name")
    known = _KNOWN.get((vendor, device, revision)) or _KNOWN.get((vendor, device, ""))
    listed = _libdrm_name(raw, device, revision) if vendor == "amd" else None
    maker = "AMD" if vendor == "amd" else "Intel"
    return own or listed or known or _pci_name(raw, vendor, device) or f"{maker} graphics {device}"


def _hex(text: str | None) -> str:
    return (text or "").removeprefix("0x").lower()


def _libdrm_name(raw: RawInputs, device: str, revision: str) -> str | None:
    """Lines are ``744C, C8, AMD Radeon RX 7900 XTX``; revisions are padded to two digits."""
    for line in raw.files.get(_AMD_NAMES, "").splitlines():
        fields = [field.strip() for field in line.split(",", 2)]
        if [field.lower() for field in fields[:2]] == [device, revision.zfill(2)]:
            return fields[2]
    return None


def _pci_name(raw: RawInputs, vendor: str, device: str) -> str | None:
    """Lines are ``1002  Advanced Micro Devices …`` and, a tab in, ``744c  Navi 31 [Radeon RX 7900 XT/…]``."""
    current = ""
    for line in next((raw.files[path] for path in _PCI_NAMES if path in raw.files), "").splitlines():
        number, _, name = line.strip().partition("  ")
        if not line.startswith("\t"):
            current = f"0x{number.lower()}"
        elif number.lower() == device and _VENDORS.get(current) == vendor:
            marketed = re.search(r"\[(.+)\]", name)
            maker = "AMD" if vendor == "amd" else "Intel"
            return f"{maker} {marketed[1] if marketed else name}"
    return None
