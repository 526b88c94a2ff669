"""Large images in parts: the pixels of one piece, and one line with a size that fits where memory does not suffice."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import toy_backend

from hkdnet_ros.errors import OutOfMemoryError
from hkdnet_ros.inference import engine_api, memory, tiles
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.device import has_bf16
from hkdnet_ros.inference.engine_api import load_engine
from hkdnet_ros.inference.tiles import Reach, spans
from hkdnet_ros.network.guided import BLOCK, Guided, GuidedConfig


@pytest.mark.parametrize("reach", [Reach(0, 1), Reach(83, 8), Reach(20, 16)])
def test_spans_keep_each_pixel_once_and_what_it_depends_on(reach):
    for length in (1, 300, 399, 400, 401, 448, 1000, 4001, 8192):
        parts = spans(length, 400, reach)
        kept = [pixel for part in parts for pixel in range(part.first, part.last)]
        assert kept == list(range(length))
        for part in parts:
            assert part.end - part.begin <= 400
            assert part.begin % reach.block == 0
            assert part.begin == 0 or part.first - part.begin >= reach.pixels
            assert part.end == length or part.end - part.last >= reach.pixels
        assert len({part.end - part.begin for part in parts}) == 1
        # No more parts than it takes, by a block more of overlap than it takes.
        assert sum(part.end - part.begin for part in parts) <= length + (len(parts) - 1) * (
            2 * reach.pixels + 8 * reach.block
        )


def test_a_part_that_would_keep_nothing_is_a_defect():
    with pytest.raises(ValueError, match="keeps nothing"):
        spans(1000, 160, Reach(83, 8))


@pytest.mark.parametrize(
    "config",
    [
        GuidedConfig(fine_channels=4, channels=4, deep_channels=4, detail_channels=4, frame_channels=0),
        GuidedConfig(
            fine_channels=4, channels=4, deep_channels=4, detail_channels=4, layers=1, deep_layers=1, detail_layers=0
        ),
        GuidedConfig(
            fine_channels=4, channels=4, deep_channels=4, detail_channels=4, layers=0, deep_layers=0, detail_layers=9
        ),
    ],
)
def test_no_pixel_acts_further_than_the_reach_of_the_network(config):
    """Every weight is positive here, so that nothing cancels; a pixel at each place of a block is changed in turn."""
    torch.manual_seed(0)
    network = Guided(config).double().eval()
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 0.5)
    side, furthest = 240, 0
    frame = torch.full((1, 4), 0.5, dtype=torch.float64)
    thermal, visible = (torch.full((1, 1, size, size), 0.5, dtype=torch.float64) for size in (side // 2, side))
    with torch.inference_mode():
        before = network(thermal, visible, frame).fused
        for place in range(116, 124):
            seen = visible.clone()
            seen[..., place, place] = 1
            warm = thermal.clone()
            warm[..., place // 2, place // 2] = 1
            for images in ((thermal, seen), (warm, visible)):
                changed = (network(*images, frame).fused != before)[0, 0].nonzero()
                furthest = max(furthest, int((changed - place).abs().max()))
    assert network.reach - BLOCK <= furthest <= network.reach


def images(engine, height, width):
    random = np.random.default_rng(height)
    thermal = random.random(engine.sizes.thermal_for(engine.sizes.output_for((height, width))), dtype=np.float32)
    return thermal, random.integers(0, 256, (height, width), dtype=np.uint8)


@pytest.mark.parametrize("size", [(330, 700), (501, 333), (640, 641)])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_parts_of_guided_are_the_whole_to_0_levels(monkeypatch, size, precision):
    if precision == "bf16" and not has_bf16(torch.device("cpu")):
        pytest.skip("this processor computes bf16 in software")
    engine = load_engine(EngineConfig(model="guided", device="cpu", precision=precision, backend="torch"))
    thermal, visible = images(engine, *size)
    whole = engine.fuse(thermal, visible)
    monkeypatch.setattr(tiles, "LARGEST_WHOLE", 320 * 320)
    runs = []
    run = engine._backend.run
    monkeypatch.setattr(engine._backend, "run", lambda *given: (runs.append(given[1].shape), run(*given))[1])
    parts = engine.fuse(thermal, visible)
    assert len(runs) >= 6
    assert max(max(shape) for shape in runs) <= 320
    off = np.abs(np.rint(parts * 255) - np.rint(whole * 255)).max()
    # 8 significant bits, where a sum's order may show; on an AMD EPYC with AVX512_BF16 it is 0 there too.
    assert off <= (0 if precision == "fp32" else 1)
    assert not np.shares_memory(parts, whole)


def test_parts_of_guided_in_openvino_are_the_whole_in_torch_to_a_level(monkeypatch):
    """Its own whole image is no measure: there the frame's statistics are computed in another order."""
    pytest.importorskip("openvino")
    settings = {"model": "guided", "device": "cpu", "precision": "fp32"}
    engine = load_engine(EngineConfig(**settings, backend="openvino"))
    thermal, visible = images(engine, 501, 333)
    whole = load_engine(EngineConfig(**settings, backend="torch")).fuse(thermal, visible)
    monkeypatch.setattr(tiles, "LARGEST_WHOLE", 320 * 320)
    parts = engine.fuse(thermal, visible)
    assert len(engine._backend._compiled) == 1  # for parts of one size
    np.testing.assert_allclose(parts, whole, atol=2e-5)
    np.testing.assert_allclose(engine.fuse(thermal, visible), parts, atol=0)


def test_a_network_that_attends_to_the_whole_image_is_run_in_one_piece(monkeypatch):
    engine = load_engine(EngineConfig(model="realtime", device="cpu", precision="fp32", backend="torch"))
    thermal, visible = images(engine, 64, 80)
    whole = engine.fuse(thermal, visible)
    monkeypatch.setattr(tiles, "LARGEST_WHOLE", 64 * 64)
    assert engine._backend.reach is None
    np.testing.assert_array_equal(engine.fuse(thermal, visible), whole)


class PointwiseBackend(toy_backend.GuidedToyBackend):
    """Each pixel of the output depends on the one at its place; memory ends at ``most`` pixels."""

    reach = Reach(0, 2)
    most = 10**9
    described = 0

    def describe(self, thermal, visible):
        self.described += 1
        return "the frame"

    def run(self, thermal, visible, lap, frame=None):
        assert frame in (None, "the frame")
        if visible.size > self.most:
            raise OutOfMemoryError("the toy's memory is full")
        return super().run(thermal, visible, lap)


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(engine_api.BACKENDS, "pointwise", "test_tiles:PointwiseBackend")
    monkeypatch.setitem(sys.modules, "test_tiles", sys.modules[__name__])
    return load_engine(EngineConfig(model="toy", backend="pointwise", precision="fp32"))


def test_any_back_end_with_a_reach_is_run_in_parts(toy, monkeypatch):
    thermal, visible = images(toy, 141, 230)
    whole = toy.fuse(thermal, visible)
    monkeypatch.setattr(tiles, "LARGEST_WHOLE", 64 * 64)
    np.testing.assert_array_equal(toy.fuse(thermal, visible), whole)
    assert toy._backend.described == 1
    assert set(toy.timings) == {"upload", "network", "download"}


def test_memory_that_runs_out_is_one_line_with_a_size_that_fits(toy, monkeypatch):
    monkeypatch.setattr(PointwiseBackend, "most", 1000)
    monkeypatch.setattr(tiles, "available_bytes", lambda: 64_000)
    with pytest.raises(OutOfMemoryError) as caught:
        toy.fuse(*images(toy, 96, 128))
    # 12 bytes for each pixel of the output: half of what is free is room for 2667.
    assert str(caught.value) == (
        "not enough memory for toy to give 128x96 pixels, which takes about 0.0 GB; 0.0 GB are free: "
        "output_size (--size) 48x32 would fit (the toy's memory is full)"
    )


def test_what_memory_cannot_hold_is_refused_before_it_is_tried(monkeypatch):
    """Linux promises memory that it has not, and kills whoever then uses it: no error comes from there."""
    engine = load_engine(EngineConfig(model="realtime", device="cpu", precision="fp32", backend="torch"))
    needed = engine._backend.bytes_per_pixel
    monkeypatch.setattr(tiles, "LARGEST_WHOLE", 100 * 100)
    monkeypatch.setattr(tiles, "available_bytes", lambda: round(1.01 * needed * 240 * 160))
    assert engine.fuse(*images(engine, 80, 120)).shape == (160, 240)
    monkeypatch.setattr(engine._backend, "run", lambda *_: pytest.fail("it was tried"))
    with pytest.raises(OutOfMemoryError, match=r"realtime_x2 to give 320x240 .* grid \(--grid\) 80x48 would fit$"):
        engine.fuse(*images(engine, 120, 160))


def test_memory_that_the_last_image_left_to_the_next_counts_as_free(monkeypatch):
    engine = load_engine(EngineConfig(model="realtime", device="cpu", precision="fp32", backend="torch"))
    monkeypatch.setattr(tiles, "LARGEST_WHOLE", 100 * 100)
    kept = [True]
    monkeypatch.setattr(tiles, "available_bytes", lambda: 1000 if kept else 10**9)
    monkeypatch.setattr(tiles, "give_back_buffers", kept.clear)
    assert engine.fuse(*images(engine, 80, 120)).shape == (160, 240)


def test_available_memory_is_the_least_that_anyone_says(monkeypatch, tmp_path):
    group = tmp_path / "group"
    group.mkdir()
    for name, text in (("memory.max", "5000"), ("memory.current", "3000"), ("memory.stat", "anon 2000\nfile 500\n")):
        (group / name).write_text(text)
    assert memory._of_control_group(group) == 2500
    (group / "memory.max").write_text("max\n")
    assert memory._of_control_group(group) is None
    monkeypatch.setattr(memory, "_of_system", lambda: 10_000)
    monkeypatch.setattr(memory, "_of_control_group", lambda: 2500)
    assert memory.available_bytes() == 2500


GROWTH = """
import resource, sys
import numpy as np
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
settings = dict(device="cpu", precision="fp32", threads=1, backend="torch")
engine = load_engine(EngineConfig(model=sys.argv[1], scale=int(sys.argv[2]), **settings))
side = int(sys.argv[3])
engine.warm_up(32, 32)
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 1024
shape = (side, side)
thermal = np.zeros(engine.sizes.thermal_for(engine.sizes.output_for(shape)), np.uint8)
pixels = engine.fuse(thermal, np.zeros(shape, np.uint8)).size
# Not rusage's, which begins with what the process that started this one had.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
grown = int(peak.split()[1]) - before
print(grown * 1024 / pixels / engine._backend.bytes_per_pixel)
"""


@pytest.mark.parametrize(("model", "scale", "side"), [("realtime", 2, 640), ("guided", 2, 1536)])
def test_memory_is_told_to_within_a_factor_of_2(model, scale, side):
    words = [sys.executable, "-c", GROWTH, model, str(scale), str(side)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    assert 0.5 < float(result.stdout) < 2


LIMITED = """
import resource, sys
import numpy as np
from hkdnet_ros.errors import OutOfMemoryError
from hkdnet_ros.inference.config import EngineConfig
from hkdnet_ros.inference.engine_api import load_engine
model, width, height = sys.argv[1], *map(int, sys.argv[2:])
engine = load_engine(EngineConfig(model=model, device="cpu", precision="fp32", threads=1, backend="torch"))
visible = np.zeros((height, width), np.uint8)
thermal = np.zeros(engine.sizes.thermal_for(engine.sizes.output_for(visible.shape)), np.uint8)
engine.warm_up(32, 32)
taken = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (400 << 20),) * 2)
try:
    print(engine.fuse(thermal, visible).shape)
except OutOfMemoryError as error:
    print(error)
"""


def limited(model, width, height):
    """Return what a process says that fuses with 400 MiB beyond what it has after loading."""
    words = [sys.executable, "-c", LIMITED, model, str(width), str(height)]
    result = subprocess.run(words, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_a_process_of_little_memory_names_a_size_and_then_fuses_it():
    said = limited("realtime", 1000, 900)
    (width, height) = re.search(r"2000x1800 .*: grid \(--grid\) (\d+)x(\d+) would fit", said).groups()
    assert int(width) >= 160
    assert limited("realtime", width, height) == f"({2 * int(height)}, {2 * int(width)})"
