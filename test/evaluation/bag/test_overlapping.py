"""Decoding ahead and working behind: everything in order, few things in memory, errors where they belong."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from rigging import wait_for

from hkdnet_ros.errors import ImageError, SourceError
from hkdnet_ros.evaluation.bag.ahead import decoded_ahead
from hkdnet_ros.evaluation.bag.ordered_pipe import OrderedPipe
from hkdnet_ros.images.frames import Frame
from hkdnet_ros.perception.incoming import Incoming, ShutterFlag


def image(number, decode=None):
    frame = Frame(np.full((48, 64), number, np.uint8), number, "camera", "mono8")
    return Incoming("thermal", number, number, "camera", decode or (lambda: frame))


def refuse():
    raise ImageError("damaged")


def test_images_come_decoded_and_in_order_with_all_else_between():
    given = [image(0), ShutterFlag(True, 1), image(2), image(3, refuse), image(4)]
    with decoded_ahead(given) as arrivals:
        got = list(arrivals)
    assert [arrival.arrived_ns for arrival, _ in got] == [0, 1, 2, 3, 4]
    assert got[0][0].decode().image[0, 0] == 0
    assert got[0][1] is None
    assert got[2][1] == 2
    assert got[4][1] == 2  # from the last that could be decoded
    assert got[1] == (given[1], None)
    for _ in range(2):
        with pytest.raises(ImageError, match="damaged"):
            got[3][0].decode()
    assert got[3][1] is None


def test_no_more_is_read_than_fits_and_leaving_early_ends_the_reading():
    read = []

    def endless():
        number = 0
        while True:
            read.append(number)
            yield image(number)
            number += 1

    with decoded_ahead(endless(), most=5) as arrivals:
        next(arrivals)
        wait_for(lambda: len(read) >= 7, what="reading ahead")
        threading.Event().wait(0.2)
        assert len(read) <= 8
    count = len(read)
    threading.Event().wait(0.1)
    assert len(read) == count
    assert not [thread for thread in threading.enumerate() if thread.name == "read"]


def test_the_images_of_a_camera_are_decoded_in_their_order():
    decoded = []

    def decode(number):
        def it():
            threading.Event().wait(0.002 * (number % 3))
            decoded.append(number)
            return image(number).decode()

        return it

    with decoded_ahead(image(number, decode(number)) for number in range(30)) as arrivals:
        assert len(list(arrivals)) == 30
    assert decoded == list(range(30))


def test_damage_comes_after_what_was_read_before_it():
    def broken():
        yield image(0)
        yield image(1)
        raise SourceError("breaks off")

    with decoded_ahead(broken()) as arrivals:
        assert [next(arrivals)[0].stamp_ns for _ in range(2)] == [0, 1]
        with pytest.raises(SourceError, match="breaks off"):
            next(arrivals)


def test_results_are_taken_in_order_however_long_each_takes():
    taken = []
    hold = threading.Event()

    def work(number):
        if number == 0:
            hold.wait(5)
        return number

    with OrderedPipe(work, taken.append, threads=2, most=40) as pipe:
        for number in range(4):
            pipe.put(number, 10)
        assert taken == []
        hold.set()
        for number in range(4, 20):
            pipe.put(number, 10)
    assert taken == list(range(20))


def test_putting_waits_while_too_many_are_under_way():
    go_on = threading.Event()
    with OrderedPipe(lambda item: go_on.wait(5), lambda result: None, threads=1, most=20) as pipe:
        pipe.put(0, 10)
        pipe.put(1, 10)
        third = threading.Thread(target=pipe.put, args=(2, 10))
        third.start()
        third.join(0.2)
        assert third.is_alive()
        go_on.set()
        third.join(5)
        assert not third.is_alive()


@pytest.mark.parametrize("place", ["work", "take"])
def test_what_goes_wrong_behind_is_raised_in_front_and_ends_the_taking(place):
    taken = []

    def fail(item):
        if item == 3:
            raise SourceError("the disk is full")
        return item

    def take(item):
        taken.append(fail(item) if place == "take" else item)

    def run():
        with OrderedPipe(fail if place == "work" else int, take, threads=2, most=20) as pipe:
            for number in range(50):
                pipe.put(number, 10)

    with pytest.raises(SourceError, match="disk is full"):
        run()
    assert taken == [0, 1, 2]


def test_an_item_larger_than_all_there_is_room_for_goes_alone():
    taken = []
    with OrderedPipe(lambda item: item, taken.append, threads=2, most=5) as pipe:
        for number in range(4):
            pipe.put(number, 100)
    assert taken == [0, 1, 2, 3]
