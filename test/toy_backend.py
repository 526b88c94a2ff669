"""A back end in one file, numpy alone: what one needs, to see that engines of any make get the same care."""

from __future__ import annotations

import numpy as np

from hkdnet_ros.errors import DeviceError
from hkdnet_ros.inference.backend import copy_unit
from hkdnet_ros.inference.sizes import Sizes


class ToyBackend:
    """Averages the two images and repeats each pixel; its fastest format is bf16, which has ``levels`` gray levels."""

    memory = None
    takes_raw = False
    reach = None
    bytes_per_pixel = 12.0
    sizes = Sizes(thermal=2, visible=2)
    levels = 256
    lost = ""  # the device that fails
    opened: list[ToyBackend] = []  # noqa: RUF012

    def __init__(self, config):
        self.model_name = config.model
        self.device = "cpu" if config.device == "auto" else config.device
        self.precision = "bf16" if config.precision == "auto" else config.precision
        self.closed = False
        self.opened.append(self)

    def run(self, thermal, visible, lap, frame=None):
        if self.device == self.lost:
            raise DeviceError("the toy is out of memory")
        inputs = [np.empty(image.shape, np.float32) for image in (thermal, visible)]
        for image, buffer in zip((thermal, visible), inputs, strict=True):
            copy_unit(image, buffer)
        lap("upload")
        output = self.sizes.output_for(visible.shape)
        enlarged = [enlarge(image, output) for image in inputs]
        fused = (enlarged[0] + enlarged[1]) / 2
        if self.precision == "fp16":
            fused[0, 0] = np.inf
        elif self.precision == "bf16":
            fused = np.rint(fused * (self.levels - 1)) / np.float32(self.levels - 1)
        lap("network")
        return fused

    def close(self):
        self.closed = True


class GuidedToyBackend(ToyBackend):
    """Takes the visible image at the output's size and thermal at half of it."""

    sizes = Sizes(thermal=2, visible=1)


def enlarge(image, shape):
    """Repeat the pixels of ``image`` until it has this shape."""
    (height, width), (rows, columns) = shape, image.shape
    y, x = np.arange(height) * rows // height, np.arange(width) * columns // width
    return image[y[:, None], x]
