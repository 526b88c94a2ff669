"""A load in a thread: what comes of it, and how it is left behind."""

from __future__ import annotations

import threading

import pytest
from rigging import wait_for

from hkdnet_ros.errors import CheckpointError
from hkdnet_ros.node.loading import GivenUpError, Loader


class Model:
    def __init__(self):
        self.closed = threading.Event()

    def close(self):
        self.closed.set()


class Held:
    """Something that loads until it may end."""

    def __init__(self):
        self.model, self.begun, self.may_end = Model(), threading.Event(), threading.Event()

    def __call__(self):
        self.begun.set()
        self.may_end.wait(60)
        return self.model


def test_what_was_loaded_comes_back_and_what_was_raised_too():
    loader, model = Loader(), Model()
    assert not loader.is_loading
    assert loader.load(lambda: model) is model
    assert not loader.is_loading

    def fail():
        raise CheckpointError("no file")

    with pytest.raises(CheckpointError, match="no file"):
        loader.load(fail)
    assert loader.load(lambda: model) is model
    assert not model.closed.is_set()


def test_a_load_that_is_given_up_is_left_behind_and_what_it_loads_is_closed():
    loader, held, outcome = Loader(), Held(), []

    def load():
        try:
            loader.load(held)
        except GivenUpError as error:
            outcome.append(error)

    waiting = threading.Thread(target=load)
    waiting.start()
    assert held.begun.wait(10)
    assert loader.is_loading
    loader.give_up()
    waiting.join(10)
    assert len(outcome) == 1
    assert loader.is_loading  # the thread itself cannot be ended
    held.may_end.set()
    assert held.model.closed.wait(10)
    wait_for(lambda: not loader.is_loading, what="the end of the load")


def test_nothing_is_loaded_any_more_after_it_was_given_up():
    loader, calls = Loader(), []
    loader.give_up()
    loader.give_up()
    assert loader.has_given_up
    with pytest.raises(GivenUpError):
        loader.load(lambda: calls.append(1))
    assert not calls
