"""How both images come to one view: unregistered, by a table made once, or by the depth of this moment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import RegistrationError
from ..geometry.correspondence import Window, largest_window, through_window
from ..geometry.lookup import LookupTable, Size, Trace
from ..images.frames import THERMAL, VISIBLE
from ..images.resampling import resample
from ..inference.sizes import SMALLEST

_KEPT = 7  # tables of sizes: two inputs and the output of a network, and of the one before; one for a look at both
_LEAST_OVERLAP = 0.01
_COARSE = 160  # px, the larger side of the grid on which the overlap is looked at


class Warp(Protocol):
    """What brings the source's image to a grid of the reference's view: :class:`~..geometry.lookup.LookupTable`."""

    @property
    def validity(self) -> NDArray[np.uint8]: ...
    @property
    def is_complete(self) -> bool: ...
    def apply(self, image: NDArray[Any], interpolation: int = cv2.INTER_CUBIC) -> NDArray[Any]: ...


MakeWarp: TypeAlias = "Callable[[Size, Window], Warp]"
"""Returns the warp to a grid of some size that covers a window of the reference's image."""


class View:
    """The view of one camera, to which both images are brought. Here that of cameras that share it: nothing is moved.

    ``reference`` is the camera whose view, stamp and calibration the output has; ``window`` the part of its image that
    is shown, None for all of it.
    """

    reference = VISIBLE
    window: Window | None = None
    is_registered = False

    def shown_size(self, image: NDArray[Any]) -> Size:
        """Return width and height of what is shown of the reference's ``image``."""
        return image.shape[1], image.shape[0]

    def thermal(self, image: NDArray[Any], size: Size, growing: int = cv2.INTER_CUBIC) -> NDArray[Any]:
        """Return a thermal image on the grid of ``size`` (width, height); 0 where the camera does not see it."""
        return resample(image, *size, growing=growing)

    def visible(self, image: NDArray[Any], size: Size) -> NDArray[Any]:
        """Return a visible image, (H, W) or (H, W, C), on the grid; 0 where the camera does not see it."""
        return resample(image, *size)

    def validity(self, size: Size) -> NDArray[np.uint8] | None:
        """Return (H, W), 255 where both cameras see, else 0; None where both do everywhere."""
        return None

    def weight(self, size: Size) -> NDArray[np.float32] | None:
        """Return :meth:`validity` as (H, W) float32 in [0, 1] that fades out softly inside; None as there."""
        return None


class RegisteredView(View):
    """The view of ``reference``, to which the other image, the source, is brought by ``make_warp``."""

    is_registered = True

    def __init__(self, reference: str, part: Window, reference_size: Size, make_warp: MakeWarp) -> None:
        """``part`` is what is shown of the reference's image, whose size is ``reference_size``."""
        self.reference = reference
        self.window = None if part == (0, 0, *reference_size) else part
        self.size: Size = part[2:]
        self._shown, self._reference_size, self._make_warp = part, reference_size, make_warp
        self._part = slice(part[1], part[1] + part[3]), slice(part[0], part[0] + part[2])
        self._warps: OrderedDict[Size, Warp] = OrderedDict()
        self._weights: dict[Size, NDArray[np.float32]] = {}

    def shown_size(self, image: NDArray[Any]) -> Size:
        return self.size

    def thermal(self, image: NDArray[Any], size: Size, growing: int = cv2.INTER_CUBIC) -> NDArray[Any]:
        if self.reference == THERMAL:
            return resample(image[self._part], *size, growing=growing)
        return self.warp(size).apply(image, growing)

    def visible(self, image: NDArray[Any], size: Size) -> NDArray[Any]:
        if self.reference == VISIBLE:
            return resample(image[self._part], *size)
        # What is finer than the grid was averaged; cubics would sharpen nothing and cost twice the time.
        return self.warp(size).apply(image, cv2.INTER_LINEAR)

    def validity(self, size: Size) -> NDArray[np.uint8] | None:
        warp = self.warp(size)
        return None if warp.is_complete else warp.validity

    def weight(self, size: Size) -> NDArray[np.float32] | None:
        validity = self.validity(size)
        if validity is None:
            return None
        if size not in self._weights:
            self._weights[size] = _faded(validity)
        return self._weights[size]

    def by(self, make_warp: MakeWarp) -> RegisteredView:
        """Return this view with other warps."""
        return RegisteredView(self.reference, self._shown, self._reference_size, make_warp)

    def warp(self, size: Size) -> Warp:
        """Return what brings the source's image to a grid of ``size`` over what is shown."""
        if size not in self._warps:
            self._warps[size] = self._make_warp(size, self._shown)
            if len(self._warps) > _KEPT:
                dropped, _ = self._warps.popitem(last=False)
                self._weights.pop(dropped, None)
        self._warps.move_to_end(size)
        return self._warps[size]


def registered_view(trace: Trace, reference: str, sizes: Mapping[str, Size], *, is_cropped: bool) -> RegisteredView:
    """Return the view of ``reference`` by ``trace``, which leads from its pixels to those of the other camera.

    ``sizes`` are those of both images, by stream. Cropped, it is the largest window that both see whole. Raises
    :class:`RegistrationError` where the cameras see hardly anything in common.
    """
    size, source_size = sizes[reference], sizes[VISIBLE if reference == THERMAL else THERMAL]
    share, window = _overlap(trace, size, source_size)
    if share < _LEAST_OVERLAP:
        raise RegistrationError(
            f"the cameras see {share:.1%} of the {reference} image in common; expected {_LEAST_OVERLAP:.0%} at least: "
            "check the direction of thermal_to_visible, and that the frames are optical ones (z ahead)"
        )
    whole = 0, 0, *size
    if is_cropped and min(window[2:]) < SMALLEST:
        raise RegistrationError(
            f"what both cameras see whole is {window[2]}x{window[3]} pixels of the {reference} image; expected "
            f"{SMALLEST}x{SMALLEST} at least: set registration.border to reference"
        )
    return RegisteredView(
        reference,
        window if is_cropped else whole,
        size,
        lambda grid, part: LookupTable(through_window(trace, grid, part), grid, source_size),
    )


def _overlap(trace: Trace, reference_size: Size, source_size: Size) -> tuple[float, Window]:
    """Return the share of the reference's image that the source sees, and the largest window that it sees whole."""
    width, height = reference_size
    step = max(1, -(-max(width, height) // _COARSE))
    size = max(1, width // step), max(1, height // step)
    whole = 0, 0, size[0] * step, size[1] * step
    table = LookupTable(through_window(trace, size, whole), size, source_size)
    if table.is_complete:
        return 1.0, (0, 0, width, height)
    # The middle of a coarse pixel is known; its whole is seen where its neighbours are seen, too.
    inner = cv2.erode(table.validity, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    left, top, columns, rows = (step * side for side in largest_window(np.asarray(inner, np.uint8)))
    return table.coverage, (left, top, columns, rows)


def _faded(validity: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the weight of what both see: 0 where one does not, growing to 1 over some pixels."""
    reach = max(3, min(validity.shape) // 80) | 1
    surrounded = cv2.copyMakeBorder(validity, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    inner = cv2.erode(surrounded, np.ones((reach, reach), np.uint8))
    soft = cv2.blur(inner, (reach, reach))[reach:-reach, reach:-reach]
    weight: NDArray[np.float32] = np.multiply(soft, np.float32(1 / 255), dtype=np.float32)
    return weight
