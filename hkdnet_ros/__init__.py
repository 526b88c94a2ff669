"""hkdnet_ros: thermal-visible image fusion and super-resolution for ROS 2.

``from hkdnet_ros import fuse, FusionPipeline, load_engine`` is the way in from Python (docs/python.md). Such a name is
imported when it is first asked for, and PyTorch when an engine is loaded, so that ``import hkdnet_ros`` costs nothing.

The message classes (``hkdnet_ros.msg``) are generated at build time into an installed package of the same name.
Extending ``__path__`` lets a source checkout and that installed part act as one package, whichever comes first.
"""

from __future__ import annotations

import importlib
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import HkdnetError
    from .images.frames import Frame, Pair
    from .inference.config import EngineConfig
    from .inference.engine_api import load_engine
    from .perception.fuse import fuse
    from .perception.pipeline import FusionPipeline

__all__ = ["EngineConfig", "Frame", "FusionPipeline", "HkdnetError", "Pair", "fuse", "load_engine"]

__path__ = extend_path(__path__, __name__)
__version__ = "0.2.0"

_HOMES = {
    "EngineConfig": "inference.config",
    "Frame": "images.frames",
    "FusionPipeline": "perception.pipeline",
    "HkdnetError": "errors",
    "Pair": "images.frames",
    "fuse": "perception.fuse",
    "load_engine": "inference.engine_api",
}


def __getattr__(name: str) -> Any:
    """Import a name of ``__all__`` from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
