"""LatestWorker: the newest item wins, and ending waits for the item in work. EveryWorker: each in turn."""

from __future__ import annotations

import threading

from rigging import wait_for

from hkdnet_ros.perception.worker import EveryWorker, LatestWorker


class Held:
    """Work that begins each item and ends it when told."""

    def __init__(self):
        self.begun, self.ended = [], []
        self.go_on = threading.Semaphore(0)

    def __call__(self, item):
        self.begun.append(item)
        self.go_on.acquire()
        self.ended.append(item)


def test_an_item_not_begun_gives_way_to_a_newer_one():
    work = Held()
    worker = LatestWorker(work)
    assert worker.put(1) is None
    wait_for(lambda: work.begun == [1])
    assert worker.put(2) is None
    assert worker.put(3) == 2
    assert worker.put(4) == 3
    for _ in range(2):
        work.go_on.release()
    wait_for(lambda: work.ended == [1, 4])
    assert worker.stop() is None


def test_stopping_waits_for_the_item_in_work_and_gives_up_the_one_waiting():
    work = Held()
    worker = LatestWorker(work)
    worker.put(1)
    wait_for(lambda: work.begun == [1])
    worker.put(2)
    given_up = []
    stopper = threading.Thread(target=lambda: given_up.append(worker.stop()))
    stopper.start()
    stopper.join(0.05)
    assert stopper.is_alive()
    work.go_on.release()
    stopper.join(5)
    assert given_up == [2]
    assert work.ended == [1]


def test_an_item_put_after_the_stop_is_given_up():
    worker = LatestWorker(lambda item: None)
    worker.stop()
    assert worker.put(1) == 1


def test_stopping_twice_is_no_error():
    worker = LatestWorker(lambda item: None)
    worker.stop()
    assert worker.stop() is None


def test_the_worker_can_stop_itself():
    ended = threading.Event()
    workers = []

    def work(item):
        workers[0].stop()
        ended.set()

    workers.append(LatestWorker(work))
    workers[0].put(1)
    assert ended.wait(5)


def test_an_item_is_released_when_its_work_is_done():
    import weakref

    class Item:
        pass

    item = Item()
    reference = weakref.ref(item)
    worker = LatestWorker(lambda item: None)
    worker.put(item)
    del item
    wait_for(lambda: reference() is None, what="release of the item")
    worker.stop()


def test_every_item_is_worked_on_by_the_caller_until_the_stop():
    threads = []
    worker = EveryWorker(lambda item: threads.append((item, threading.get_ident())))
    assert [worker.put(item) for item in "abc"] == [None] * 3
    assert worker.stop() is None
    assert worker.put("d") == "d"
    assert threads == [(item, threading.get_ident()) for item in "abc"]
