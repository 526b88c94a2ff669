"""What a report says in words: what is well and, first, what is not, the fused image included."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hkdnet_ros.evaluation.bag.finding import BAD, GOOD, NOTE
from hkdnet_ros.evaluation.bag.findings import alignment, findings, ranked_frames
from hkdnet_ros.evaluation.bag.reading import read_result


@pytest.fixture
def read(result):
    return read_result(result)


def changed(read, **measures):
    """The result with measures that are the same in every measured frame."""
    count = len(read.measured)
    values = {name.replace("__", "."): np.full(count, float(value)) for name, value in measures.items()}
    return dataclasses.replace(read, measures={**read.measures, **values})


def said(read, words):
    return next(finding for finding in findings(read) if words in finding.text)


def test_what_is_bad_comes_first(read):
    order = [(BAD, NOTE, GOOD).index(finding.tone) for finding in findings(read)]
    assert order == sorted(order)


def test_drops_are_listed_and_weigh_by_their_number(read):
    finding = said(read, "dropped were")
    assert "4 unpaired, 1 zero stamp" in finding.text  # three lack thermal, and the partner of the one without a stamp
    assert finding.tone == NOTE
    many = dataclasses.replace(read, drops=read.drops * 10)
    assert said(many, "dropped were").tone == BAD
    none = dataclasses.replace(read, drops=())
    assert said(none, "none was dropped").tone == GOOD


def test_a_fused_image_that_is_worse_than_an_average_is_called_worse(read):
    keys = ("MI", "VIFp", "Qabf", "SSIM")
    better = {f"{key}__fused": 2 for key in keys} | {f"{key}__average": 1 for key in keys}
    assert said(changed(read, **better), "better than average by MI, VIFp, Qabf and SSIM").tone == GOOD
    worse = better | {f"{key}__fused": 0 for key in keys[:3]}
    assert said(changed(read, **worse), "worse than average by MI, VIFp and Qabf; it is better by SSIM").tone == BAD
    mixed = better | {"SSIM__fused": 0}
    assert said(changed(read, **mixed), "worse than average by SSIM").tone == NOTE


@pytest.mark.parametrize(("level", "tone"), [(0.9, GOOD), (1.1, NOTE), (2.0, BAD)])
def test_flicker_is_held_against_the_source_that_flickers_more(read, level, tone):
    finding = said(changed(read, flicker__fused=level, flicker__thermal=1, flicker__visible=0.5), "Fused flickers")
    assert f"{level:.2f} times as much as thermal" in finding.text
    assert finding.tone == tone


def test_images_that_lie_apart_are_told(read):
    apart = changed(read, shift_x=8, shift_y=-2, shift_certainty=0.2)
    assert said(apart, "(+8.0, -2.0) pixels off").tone == BAD
    assert said(changed(read, shift_x=0.4, shift_y=0.2, shift_certainty=0.2), "they are registered").tone == GOOD
    unsure = changed(read, shift_x=8, shift_y=-2, shift_certainty=0.001)
    assert alignment(unsure) is None
    assert said(unsure, "cannot be told: their edges").tone == NOTE


def test_objects_that_are_lost_outweigh_none_gained(read):
    counts = {"visible_kept": 3, "visible_lost": 1, "thermal_alone": 2, "gained": 2, "fused_alone": 0}
    objects = {f"objects__{name}": value for name, value in counts.items()}
    assert said(changed(read, **objects), "loses 14").tone == GOOD  # in 14 frames, and 28 gained
    assert said(changed(read, **objects | {"objects__gained": 0}), "loses 14").tone == BAD


def test_clocks_that_differ_are_told_with_the_parameter_that_mends_it(read):
    times = np.arange(0, 30, 0.05)
    bursts = np.random.default_rng(7).uniform(0, 30, 50)
    motion = sum(np.exp(-(((times - burst) / 0.1) ** 2)) for burst in bursts)
    streams = {}
    for stream, late_s in (("thermal", 0.1), ("visible", 0.0)):
        stamps = np.round((times + late_s) * 1e9).astype(np.int64) + read.start_ns
        streams[stream] = dataclasses.replace(
            read.streams[stream], stamps=stamps, arrived=stamps + 1, motion=motion
        )  # fmt: skip
    late = dataclasses.replace(read, streams=streams)
    finding = said(late, "pairs are not of one moment")
    assert float(finding.text.rpartition("sync.thermal_offset: ")[2].rstrip(".")) == pytest.approx(-0.1, abs=0.002)
    assert finding.tone == BAD
    asked = {**read.asked, "parameters": {**read.asked["parameters"], "sync.thermal_offset": -0.1}}
    assert said(dataclasses.replace(late, asked=asked), "the offsets set included").tone == GOOD


def test_the_best_and_the_worst_frame_are_those_by_all_measures(read):
    count = len(read.measured)
    ramp = {f"{key}.fused": np.arange(count, dtype=float) for key in ("MI", "VIFp", "Qabf", "SSIM")}
    frames = ranked_frames(dataclasses.replace(read, measures={**read.measures, **ramp}))
    assert frames == {"best": read.measured[-1], "median": read.measured[count // 2 - 1], "worst": read.measured[0]}
    assert ranked_frames(dataclasses.replace(read, measures={})) == {}
