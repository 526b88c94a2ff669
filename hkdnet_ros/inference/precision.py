"""Which number format to compute in."""

from __future__ import annotations

from pathlib import Path


def cpu_has_bf16() -> bool:
    """Tell whether this processor multiplies bfloat16 itself (x86 AVX512_BF16 or AMX, Arm BF16)."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags.split())
