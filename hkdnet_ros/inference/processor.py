"""What this machine's processor is."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path


def cpu_facts() -> Mapping[str, str]:
    """Return what ``/proc/cpuinfo`` says of the first core, by its names; empty where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.split("\n\n", 1)[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def processor_name() -> str:
    """Return the processor's name, family and model, such as "AMD EPYC, family 26 model 2", or what platform knows."""
    facts = cpu_facts()
    name = facts.get("model name") or facts.get("Model") or platform.processor() or platform.machine()
    if "cpu family" not in facts:
        return name
    return f"{name}, family {facts['cpu family']} model {facts.get('model', 'unknown')}"


def cpu_has_bf16() -> bool:
    """Tell whether this processor multiplies bfloat16 itself (x86 AVX512_BF16 or AMX, Arm BF16)."""
    facts = cpu_facts()
    flags = (facts.get("flags") or facts.get("Features") or "").split()
    return not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(flags)
