"""Many recordings on two nodes of Ray: equal to one process, and what is killed, a worker or a node, costs none."""

from __future__ import annotations

import functools
import os
import signal
import socket
import threading
from pathlib import Path

import many_rig
import pytest
from many_rig import begun, of_result, task_for
from recordings import assert_one_line
from rigging import wait_for

from hkdnet_ros import cli
from hkdnet_ros.errors import ConfigError, MissingDependencyError, ProcessError
from hkdnet_ros.evaluation.bag import ray_pool
from hkdnet_ros.evaluation.bag.folder import read_run
from hkdnet_ros.evaluation.bag.many import evaluate_many
from hkdnet_ros.evaluation.bag.ray_pool import MEMORY, on_ray

ROOM = {"num_cpus": 1, "memory": MEMORY, "object_store_memory": 80 * 2**20}


class Nodes:
    """A cluster of two nodes with a CPU each; one of them may be killed."""

    def __init__(self):
        cluster_utils = pytest.importorskip("ray.cluster_utils", reason="needs Ray; `pip install ray` brings it")
        self.cluster = cluster_utils.Cluster(True, head_node_args={**ROOM, "include_dashboard": False})
        self.second = self.cluster.add_node(**ROOM)
        self.address = self.cluster.address

    def kill_second(self):
        self.cluster.remove_node(self.second, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes():
    with pytest.MonkeyPatch.context() as patch:
        # The nodes' workers import the package and the tests as this process does, and a dead node is soon missed.
        folders = [Path(cli.__file__).parents[1], Path(__file__).parents[2], Path(__file__).parent]
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)), prepend=os.pathsep)
        patch.setenv("RAY_health_check_failure_threshold", "2")
        patch.setenv("RAY_health_check_period_ms", "1000")
        before = signal.getsignal(signal.SIGTERM)
        nodes = Nodes()
        yield nodes
        nodes.cluster.shutdown()
        signal.signal(signal.SIGTERM, before)  # which a node takes for itself


def pool(nodes, work, most=None):
    return functools.partial(on_ray, address=nodes.address, most=most, cores=1, work=work)


def assert_equal(out, result):
    found, expected = of_result(out), of_result(result)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


def test_two_nodes_give_what_one_process_gives_and_a_killed_worker_costs_nothing(nodes, drive, result, tmp_path):
    tasks = [task_for(drive, tmp_path / "out" / name) for name in ("one", "killed")]
    tasks.append(task_for(tmp_path / "gone", tmp_path / "out" / "gone"))
    errors = evaluate_many(tasks, pool(nodes, many_rig.killed_once_if_asked), tmp_path / "out")
    assert errors.keys() == {"gone"}
    assert "no such file" in errors["gone"]
    assert len(set(begun(tasks[1]))) == 2
    assert read_run(tasks[1].out)["found"]["begun_at"] in (16, 32, 48)
    for task in tasks[:2]:
        assert_equal(task.out, result)


def test_an_amount_that_no_node_has_is_one_line(nodes, drive, tmp_path):
    with pytest.raises(ProcessError) as caught:
        on_ray([task_for(drive, tmp_path / "a")], nodes.address, None, cores=64)
    assert_one_line(caught.value, nodes.address, "2 machines", "64 CPU, 2 GB", "--cores")


def test_the_command_takes_the_address(nodes, drive, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HKDNET_ROS_BACKEND", "torch")
    words = ["evaluate", "bag", str(drive), "--out", str(tmp_path / "out"), "--no-video", "--limit", "4"]
    assert cli.main([*words, "--ray", nodes.address]) == 0
    reports = [tmp_path / "out" / "drive" / "report.html", tmp_path / "out" / "report.html"]
    assert capsys.readouterr().out.split() == list(map(str, reports))
    assert all(report.is_file() for report in reports)


def test_a_recording_on_a_node_that_is_lost_goes_on_on_another(nodes, drive, result, tmp_path):
    """The last: the node does not come back."""
    tasks = [task_for(drive, tmp_path / "out" / name) for name in "abc"]
    (tmp_path / "out").mkdir()
    for task in tasks:
        task.out.with_suffix(".node").write_text(nodes.second.node_id)
    (tmp_path / "out" / "recordings.json").write_text("{}")  # else the folder is taken for another's

    def kill_when_one_hangs():
        wait_for(lambda: any((task.out / "parts" / "00000.csv").exists() for task in there()), 60, what="a part")
        nodes.kill_second()

    def there():
        return [task for task in tasks if task.out.with_suffix(".begun").exists()]

    killer = threading.Thread(target=kill_when_one_hangs)
    killer.start()
    assert evaluate_many(tasks, pool(nodes, many_rig.hanging_on_a_node), tmp_path / "out") == {}
    killer.join()
    assert there()
    for task in tasks:
        assert_equal(task.out, result)


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]  # nobody listens there


def test_a_wrong_address_is_one_line_at_once(closed_port):
    pytest.importorskip("ray", reason="needs Ray; `pip install ray` brings it")
    for address, facts in (
        (f"127.0.0.1:{closed_port}", ("nobody answers", "ray start --head")),
        ("127.0.0.1:99999", ("nobody answers",)),
        ("no such cluster", ("expected HOST:PORT", "auto")),
    ):
        with pytest.raises(ConfigError) as caught:
            on_ray([], address, None, cores=1)
        assert_one_line(caught.value, address, *facts)


def test_what_answers_and_is_no_ray_is_one_line_at_once():
    pytest.importorskip("ray", reason="needs Ray; `pip install ray` brings it")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer():
            with server.accept()[0] as connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(ConfigError) as caught:
            on_ray([], f"127.0.0.1:{port}", None, cores=1)
    assert_one_line(caught.value, port, "no Ray")


def test_without_ray_one_line_says_what_brings_it(monkeypatch):
    monkeypatch.setattr(ray_pool.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError) as caught:
        on_ray([], "auto", None, cores=1)
    assert_one_line(caught.value, "pip install ray")
