"""Raw images of every encoding and the pixels that they stand for, by rules written down here once more.

Bytes are put together by shifts, Bayer and YUV are worked out in numpy: nothing here asks the decoder or OpenCV.
"""

from __future__ import annotations

import numpy as np

BAYER = ("rggb", "bggr", "gbrg", "grbg")

LAYOUTS = {
    "mono8": ("u1", 1), "8UC1": ("u1", 1), "mono16": ("u2", 1), "16UC1": ("u2", 1), "32FC1": ("f4", 1),
    "rgb8": ("u1", 3), "bgr8": ("u1", 3), "rgba8": ("u1", 4), "bgra8": ("u1", 4), "8UC3": ("u1", 3), "8UC4": ("u1", 4),
    "rgb16": ("u2", 3), "bgr16": ("u2", 3), "rgba16": ("u2", 4), "bgra16": ("u2", 4),
    **{f"bayer_{order}8": ("u1", 1) for order in BAYER}, **{f"bayer_{order}16": ("u2", 1) for order in BAYER},
    "yuv422": ("u1", 2), "yuv422_yuy2": ("u1", 2), "uyvy": ("u1", 2), "yuyv": ("u1", 2),
    "nv12": ("u1", 1), "nv21": ("u1", 1),
    "16SC1": ("i2", 1), "32SC1": ("i4", 1), "64FC1": ("f8", 1),
}  # fmt: skip
"""encoding -> numpy's name of a scalar, and how many a pixel has."""

FRAME_ENCODINGS = {
    **{name: name for name in ("mono8", "8UC1", "mono16", "16UC1", "32FC1")},
    **dict.fromkeys(("rgb8", "rgba8", "rgb16", "rgba16"), "rgb8"),
    **dict.fromkeys(("16SC1", "32SC1", "64FC1"), "32FC1"),
}
"""encoding -> that of the frame; bgr8 where it is not said."""


def rows_of(encoding, height):
    """How many rows of data ``height`` rows of pixels have."""
    return height * 3 // 2 if encoding in ("nv12", "nv21") else height


def row_bytes(encoding, width):
    scalar, channels = LAYOUTS[encoding]
    return width * channels * int(scalar[1])


def samples(encoding, height=12, width=16, seed=0):
    """Random scalars of an image, (rows, width, channels): all values but for floats, which are some of any sign."""
    scalar, channels = LAYOUTS[encoding]
    shape, random = (rows_of(encoding, height), width, channels), np.random.default_rng(seed)
    if scalar[0] == "f":
        return random.normal(300, 200, shape).astype(scalar)
    limits = np.iinfo(scalar)
    return random.integers(limits.min, limits.max, shape, scalar, endpoint=True)


def packed(scalars, big=False, padding=0):
    """The bytes of ``scalars``, each row followed by ``padding`` bytes, and the step."""
    size = scalars.itemsize
    words = scalars.view(f"u{size}")[..., None] >> (8 * np.arange(size, dtype=f"u{size}"))  # least byte first
    data = (words & 255).astype(np.uint8)[..., :: -1 if big else 1].reshape(scalars.shape[0], -1)
    data = np.pad(data, ((0, 0), (0, padding)), constant_values=77)
    return data.tobytes(), data.shape[1]


def unpacked(encoding, height, width, big, step, data):
    """The scalars that :func:`packed` packed."""
    scalar, channels = LAYOUTS[encoding]
    size = int(scalar[1])
    rows = np.frombuffer(data, np.uint8).reshape(rows_of(encoding, height), step)[:, : row_bytes(encoding, width)]
    words = rows.reshape(len(rows), width, channels, size)[..., :: -1 if big else 1].astype(f"u{size}")
    return np.bitwise_or.reduce(words << (8 * np.arange(size, dtype=f"u{size}")), axis=-1).view(scalar)


def pixels(encoding, scalars):
    """What a frame of ``scalars`` holds, in float64; colour that was calculated is right to 1 level."""
    kind = encoding.rstrip("0123456789")
    if kind in ("rgb", "bgr", "rgba", "bgra") or encoding in ("8UC3", "8UC4"):
        colour = scalars[..., :3]
    elif kind.startswith("bayer_"):
        colour = demosaiced(kind.removeprefix("bayer_"), scalars[..., 0])
    elif encoding in ("nv12", "nv21"):
        height = len(scalars) * 2 // 3
        chroma = scalars[height:].reshape(height // 2, -1, 2).repeat(2, axis=0).repeat(2, axis=1)
        u, v = (chroma[..., place] for place in ((0, 1) if encoding == "nv12" else (1, 0)))
        return bgr_of_yuv(scalars[:height, :, 0], u, v)
    elif LAYOUTS[encoding][1] == 2:
        luma, chroma = (0, 1) if encoding in ("yuyv", "yuv422_yuy2") else (1, 0)
        u, v = (scalars[:, begin::2, chroma].repeat(2, axis=1) for begin in (0, 1))
        return bgr_of_yuv(scalars[..., luma], u, v)
    else:
        return scalars[..., 0].astype(np.float64)
    return colour / 257.0 if scalars.dtype == np.uint16 else colour.astype(np.float64)


def demosaiced(order, mosaic):
    """Bilinear: a missing colour is the mean of its nearest samples; the outermost pixels repeat the next ones."""
    height, width = mosaic.shape
    planes = []
    for name in "bgr":
        known = np.zeros((height, width))
        for place, letter in enumerate(order):  # left to right, then the second row
            if letter == name:
                known[place // 2 :: 2, place % 2 :: 2] = 1
        total = sum_around(known * mosaic, name)
        planes.append(np.pad(total / sum_around(known, name), 1, mode="edge"))
    return np.stack(planes, axis=-1)


def sum_around(plane, name):
    """Sum over the 3x3 around all but the outermost pixels, the nearer weighed the more; green has no diagonals."""
    weights = [[0, 1, 0], [1, 4, 1], [0, 1, 0]] if name == "g" else [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    height, width = plane.shape
    return sum(
        weights[row][column] * plane[row : row + height - 2, column : column + width - 2]
        for row in range(3)
        for column in range(3)
    )


def bgr_of_yuv(y, u, v):
    """ITU-R BT.601 of limited range: luma 16 to 235, chroma around 128."""
    y, u, v = 1.164383 * np.maximum(y.astype(float) - 16, 0), u.astype(float) - 128, v.astype(float) - 128
    return np.clip(np.stack([y + 2.017232 * u, y - 0.391762 * u - 0.812968 * v, y + 1.596027 * v], axis=-1), 0, 255)


def assert_pixels(image, encoding, scalars):
    """Hold an image against what its encoding and scalars say."""
    expected = pixels(encoding, scalars)
    assert image.shape == expected.shape
    if image.dtype == np.float32:
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(image, expected.astype(np.float32))
    elif "16" in encoding and image.ndim == 3:
        np.testing.assert_allclose(image, expected, atol=0.51 if "bayer" not in encoding else 0.51 + 1 / 257)
    else:
        calculated = "bayer" in encoding or LAYOUTS[encoding][1] == 2 or encoding.startswith("nv")
        np.testing.assert_allclose(image, expected, atol=1 if calculated else 0)
