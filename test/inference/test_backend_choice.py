"""Back end ``auto`` takes the fastest that is here, and measures it once."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from rigging import FakeEngine

from hkdnet_ros.errors import ConfigError
from hkdnet_ros.inference import backend_choice
from hkdnet_ros.inference.backend_choice import cache_file, choose_backend
from hkdnet_ros.inference.config import EngineConfig

# Packages that are installed wherever these tests run, in the place of two back ends.
CANDIDATES = ("numpy", "pytest")


class Timed(FakeEngine):
    """Takes as long for a frame as it is told."""

    def __init__(self, backend, seconds):
        super().__init__()
        self.backend = backend
        self.seconds = seconds

    def fuse(self, thermal, visible):
        time.sleep(self.seconds)
        return super().fuse(thermal, visible)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("HKDNET_ROS_BACKEND")


@pytest.fixture
def opened(monkeypatch):
    return []


@pytest.fixture
def load(opened):
    def load(config):
        opened.append(Timed(config.backend, {"numpy": 0.02, "pytest": 0.0}.get(config.backend, 0.0)))
        return opened[-1]

    return load


def test_the_faster_one_is_kept_and_the_other_closed(load, opened):
    engine = choose_backend(load, EngineConfig(model="guided"), CANDIDATES)
    assert engine.backend == "pytest"
    assert [(it.backend, it.closed) for it in opened] == [("numpy", True), ("pytest", False)]


def test_it_is_measured_once(load, opened):
    choose_backend(load, EngineConfig(model="guided"), CANDIDATES)
    opened.clear()
    assert choose_backend(load, EngineConfig(model="guided"), CANDIDATES).backend == "pytest"
    assert [it.backend for it in opened] == ["pytest"]
    (known,) = json.loads(cache_file().read_text()).values()
    assert known["ms"]["numpy"] > known["ms"]["pytest"]


@pytest.mark.parametrize("change", [{"model": "realtime"}, {"threads": 1}, {"precision": "fp32"}])
def test_what_else_is_asked_for_is_measured_anew(load, opened, change):
    config = EngineConfig(model="guided")
    choose_backend(load, config, CANDIDATES)
    opened.clear()
    choose_backend(load, dataclasses.replace(config, **change), CANDIDATES)
    assert len(opened) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1', b"\xff\xfe"])
def test_a_damaged_cache_is_measured_anew_and_mended(load, opened, content):
    cache_file().parent.mkdir()
    cache_file().write_bytes(content if isinstance(content, bytes) else content.encode())
    assert choose_backend(load, EngineConfig(model="guided"), CANDIDATES).backend == "pytest"
    assert len(json.loads(cache_file().read_text())) == 1


def test_a_cache_that_cannot_be_written_does_no_harm(load, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc")
    assert choose_backend(load, EngineConfig(model="guided"), CANDIDATES).backend == "pytest"


def test_one_alone_is_taken_without_a_trial(load, opened):
    assert choose_backend(load, EngineConfig(model="guided"), ("numpy", "no_such_package")).backend == "numpy"
    assert len(opened) == 1
    assert not cache_file().exists()


@pytest.fixture
def on_cuda(monkeypatch):
    monkeypatch.setattr(backend_choice, "choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Some GPU")


def test_on_cuda_others_are_asked(load, opened, on_cuda):
    engine = choose_backend(load, EngineConfig(model="guided"), ("pytest", "no_such_package"), CANDIDATES)
    assert engine.backend == "pytest"
    assert {it.backend for it in opened} == set(CANDIDATES)
    assert "Some GPU" in next(iter(json.loads(cache_file().read_text())))


def test_on_cuda_one_alone_is_taken_without_a_trial(load, opened, on_cuda):
    assert (
        choose_backend(load, EngineConfig(model="guided"), CANDIDATES, ("numpy", "no_such_package")).backend == "numpy"
    )
    assert len(opened) == 1


def test_one_whose_package_cannot_be_imported_is_none(load, opened, on_cuda, tmp_path, monkeypatch):
    """As JetPack's package, in an environment that sees it but not the libraries."""
    (tmp_path / "tensorrt.py").write_text('raise ImportError("libnvinfer.so.10: cannot open shared object file")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    assert choose_backend(load, EngineConfig(model="guided"), CANDIDATES, ("numpy", "tensorrt")).backend == "numpy"
    assert [it.backend for it in opened] == ["numpy"]


@pytest.mark.parametrize("step", ["load", "warm_up"])
def test_one_that_cannot_be_had_is_left_out_and_said(load, opened, step, caplog, monkeypatch):
    def failing(config):
        if config.backend == "pytest" and step == "load":
            raise ConfigError("it reads no such network")
        engine = load(config)
        if config.backend == "pytest":
            engine.error = ConfigError("it reads no such network")
            engine.warm_up = lambda height, width: engine.fuse(np.zeros((2, 2)), np.zeros((2, 2)))
        return engine

    assert choose_backend(failing, EngineConfig(model="guided"), CANDIDATES).backend == "numpy"
    assert "back end pytest is left out: it reads no such network" in caplog.text
    assert all(it.closed == (it.backend == "pytest") for it in opened)


def test_the_environment_has_the_last_word(load, monkeypatch):
    monkeypatch.setenv("HKDNET_ROS_BACKEND", "numpy")
    assert choose_backend(load, EngineConfig(model="guided"), CANDIDATES).backend == "numpy"


@pytest.mark.parametrize("value", ["", "auto"])
def test_the_environment_may_leave_the_choice_as_it_is(load, opened, monkeypatch, value):
    monkeypatch.setenv("HKDNET_ROS_BACKEND", value)
    assert choose_backend(load, EngineConfig(model="guided"), CANDIDATES).backend == "pytest"
    assert [engine.backend for engine in opened] == ["numpy", "pytest"]


def test_the_cache_lies_in_the_users_folder(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/robot")
    assert cache_file() == Path("/home/robot/.cache/hkdnet_ros/backends.json")


@pytest.mark.parametrize("home", ["", "somewhere"])
def test_nothing_is_written_to_where_the_program_was_started(load, monkeypatch, tmp_path, home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    monkeypatch.setenv("HOME", home)
    assert choose_backend(load, EngineConfig(model="guided"), CANDIDATES).backend == "pytest"
    assert not list(tmp_path.iterdir())


def test_a_user_without_a_home_has_no_cache_and_runs(load, monkeypatch):
    """As in a container that is started with another user's number."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os, "getuid", lambda: 987_654)
    assert choose_backend(load, EngineConfig(model="guided"), CANDIDATES).backend == "pytest"
    assert not cache_file().exists()
