from __future__ import annotations

import math

import pytest
from scipy.stats import rankdata

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.metrics.ranking import RANKED_KEYS, mean_rank


def test_ranks_are_averaged_and_less_artefacts_are_better() -> None:
    values = {"a": {"MI": 3.0, "Nabf": 0.01}, "b": {"MI": 2.0, "Nabf": 0.02}, "c": {"MI": 1.0, "Nabf": 0.001}}
    assert mean_rank(values, ("MI",)) == {"a": 1, "b": 2, "c": 3}
    assert mean_rank(values, ("MI", "Nabf")) == {"a": 1.5, "b": 2.5, "c": 2}


def test_equal_values_share_their_ranks_as_in_scipy() -> None:
    scores = [0.5, 0.7, 0.7, 0.1, 0.7, 0.1]
    ranks = mean_rank({str(i): {"SSIM": score} for i, score in enumerate(scores)}, ("SSIM",))
    assert list(ranks.values()) == list(rankdata([-score for score in scores]))


def test_nan_ranks_last() -> None:
    assert mean_rank({"a": {"MI": math.nan}, "b": {"MI": -5.0}}, ("MI",)) == {"a": 2, "b": 1}


def test_a_missing_measure_is_named() -> None:
    full = dict.fromkeys(RANKED_KEYS, 1.0)
    with pytest.raises(ConfigError, match="b lacks Qabf"):
        mean_rank({"a": full, "b": {key: 1.0 for key in RANKED_KEYS if key != "Qabf"}})
    with pytest.raises(ConfigError, match="no measures given"):
        mean_rank({"a": full}, ())
