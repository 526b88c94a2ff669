"""Which pairs an engine's device does all of, and what it is told of them.

What is decided by looking at an image's values, such as the thermal range, stays on the CPU, and so does what is rare.
"""

from __future__ import annotations

from ..geometry.lookup import LookupTable
from ..images.color import is_color
from ..images.frames import VISIBLE, Frame
from ..inference.raw_pair import THERMAL_TYPES, VISIBLE_ENCODINGS, PairPlan, RawPair
from .plan import Plan, size_of
from .registered_view import RegisteredView, View
from .registration_config import KEEP
from .thermal import Levels


def raw_pair(
    levels: Levels, visible: Frame, plan: Plan, view: View, *, is_gray: bool, border: str, gain: float
) -> RawPair | None:
    """Return a pair for :meth:`~hkdnet_ros.inference.engine.Engine.fuse_raw`; None where the CPU has to prepare it.

    That is where there is nothing to be fused, thermal has the view or local contrast is raised, the visible image has
    16 bits, and where each pair has a registration of its own, by depth.
    """
    if (
        not plan.needs_network
        or gain <= 0
        or view.reference != VISIBLE
        or levels.local_contrast
        or levels.image.dtype.name not in THERMAL_TYPES
        or visible.encoding not in VISIBLE_ENCODINGS
    ):
        return None
    table: LookupTable | None = None
    if isinstance(view, RegisteredView):
        warp = view.warp(plan.thermal)
        if not isinstance(warp, LookupTable):
            return None
        table = warp
    columns, rows = view.shown_size(visible.image)
    width, height = plan.engine.sizes.output_for(plan.visible)
    is_filled = border != KEEP and view.validity(plan.output) is not None
    thermal_rows, thermal_columns = levels.image.shape
    pair_plan = PairPlan(
        thermal_size=(thermal_columns, thermal_rows),
        thermal_type=levels.image.dtype.name,
        visible_shape=visible.image.shape,
        encoding=visible.encoding,
        window=view.window or (0, 0, *size_of(visible)),
        table=table,
        shown=(min(columns, width), min(rows, height)),
        thermal_input=plan.thermal,
        visible_input=plan.visible,
        output=plan.output,
        is_color=not is_gray and is_color(visible.encoding),
        is_filled=is_filled,
        weights=(view.weight(plan.thermal), view.weight(plan.output)) if is_filled else (None, None),
    )
    return RawPair(
        pair_plan, levels.image, visible.image, levels.low, levels.high - levels.low, levels.is_black_hot, gain
    )
