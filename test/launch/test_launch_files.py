"""The launch files and the rviz configuration; what they start is evaluated where launch_ros is installed."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))

# Starts a launch file, prints the command line and the environment of every process, and ends the launch.
PRINTER = """
import json, sys
from launch import LaunchDescription, LaunchService
from launch.actions import EmitEvent, IncludeLaunchDescription, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessStart
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource

commands = []
arguments = [argument.split(":=", 1) for argument in sys.argv[2:]]
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([
    RegisterEventHandler(OnProcessStart(on_start=lambda event, context: commands.append(
        (event.cmd, event.env and dict(event.env))  # Humble has os.environ itself
    ))),
    IncludeLaunchDescription(PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments=arguments),
    TimerAction(period=1.0, actions=[EmitEvent(event=Shutdown())]),
]))
service.run()
print(json.dumps(commands))
"""


def started(name, *arguments):
    """Return the command lines that launch file ``name`` starts."""
    return [command for command, _ in started_with_environment(name, *arguments)]


def started_with_environment(name, *arguments):
    """Return what launch file ``name`` starts: a command line and the environment of each process, None for the own."""
    pytest.importorskip("launch_ros", reason="needs ROS 2's launch_ros")
    environment = {
        "AMENT_PREFIX_PATH": sys.prefix,
        **os.environ,
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": "99",
    }
    command = [sys.executable, "-c", PRINTER, str(ROOT / "launch" / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def loaded(name, **values):
    """Return launch file ``name`` as a module, and a context in which its arguments are ``values`` or else empty."""
    pytest.importorskip("launch_ros", reason="needs ROS 2's launch_ros")
    from launch import LaunchContext

    spec = importlib.util.spec_from_file_location(name.partition(".")[0], ROOT / "launch" / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    context = LaunchContext()
    context.launch_configurations.update({argument.name: "" for argument in getattr(module, "ARGUMENTS", ())} | values)
    return module, context


def remaps(command):
    return dict(word.split(":=", 1) for flag, word in itertools.pairwise(command) if flag == "-r")


def parameters(command):
    """Return what the parameter files of a command line say together, later ones winning."""
    files = [word for flag, word in itertools.pairwise(command) if flag == "--params-file"]
    result = {}
    for file in files:
        for of_node in yaml.safe_load(Path(file).read_text()).values():
            result |= of_node["ros__parameters"]
    return result


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_launch_file_compiles_and_describes_something(path):
    tree = ast.parse(path.read_text(), path.name)
    assert "generate_launch_description" in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_every_launch_argument_is_described(path):
    declared = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DeclareLaunchArgument"
    ]
    assert declared
    for call in declared:
        assert {"default_value", "description"} <= {keyword.arg for keyword in call.keywords}


def test_the_launch_file_remaps_the_topics_that_the_node_subscribes():
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from hkdnet_ros.node.fusion import CAMERA_INFO_TOPICS, IMAGE_TOPICS

    text = (ROOT / "launch" / "fusion.launch.py").read_text()
    for topic in (*IMAGE_TOPICS.values(), *CAMERA_INFO_TOPICS.values()):
        assert f'("{topic}", value(' in text


def test_rviz_shows_the_three_images():
    configuration = yaml.safe_load((ROOT / "config" / "fusion.rviz").read_text())
    displays = configuration["Visualization Manager"]["Displays"]
    assert {display["Class"] for display in displays} == {"rviz_default_plugins/Image"}
    topics = [display["Topic"]["Value"] for display in displays]
    assert topics == ["thermal/image_raw", "visible/image_raw", "fused/image"]
    # A reliable display would not hear a best-effort camera; our own image is reliable, and large.
    reliabilities = [display["Topic"]["Reliability Policy"] for display in displays]
    assert reliabilities == ["Best Effort", "Best Effort", "Reliable"]


def test_fusion_starts_one_node_with_the_shipped_parameters():
    (command,) = started("fusion.launch.py")
    assert Path(command[0]).name == "fusion_node"
    names = remaps(command)
    assert names["__node"] == "fusion"
    assert names["visible/image_raw"] == "visible/image_raw"
    assert names["visible/camera_info"] == "visible/camera_info"
    assert names["thermal/camera_info"] == "thermal/camera_info"
    shipped = yaml.safe_load((ROOT / "config" / "fusion.yaml").read_text())["/**"]["ros__parameters"]
    assert parameters(command) == shipped


def test_the_arguments_of_fusion_reach_the_node(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("/**:\n  ros__parameters:\n    scale: 3\n    device: cuda\n")
    (command,) = started(
        "fusion.launch.py",
        "thermal_topic:=/lepton/image",
        "visible_topic:=cam/image_color",
        "namespace:=front",
        "device:=cpu",
        "autostart:=false",
        "use_sim_time:=true",
        "log_level:=debug",
        f"params_file:={file}",
    )
    names = remaps(command)
    assert names["__ns"] == "/front"
    assert names["thermal/image_raw"] == "/lepton/image"
    assert (names["visible/image_raw"], names["visible/camera_info"]) == ("cam/image_color", "cam/camera_info")
    assert parameters(command) == {"scale": 3, "device": "cpu", "autostart": False, "use_sim_time": True}
    assert command[command.index("--log-level") + 1] == "debug"


def test_the_parameter_file_decides_what_no_argument_says(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("/**:\n  ros__parameters:\n    device: cpu\n    autostart: false\n")
    (command,) = started("fusion.launch.py", f"params_file:={file}")
    assert parameters(command) == {"device": "cpu", "autostart": False}


def test_replay_reads_plays_and_fuses_the_topics_of_a_bag():
    commands = started("replay.launch.py", "thermal_topic:=/flir/image", "visible_topic:=rgb/image_raw")
    by_name = {Path(command[0]).name: command for command in commands}
    played = parameters(by_name["replay_node"])
    assert (played["thermal_topic"], played["visible_topic"]) == ("/flir/image", "rgb/image_raw")
    for command in by_name.values():
        names = remaps(command)
        assert names["thermal/image_raw"] == "/flir/image"
        assert names["thermal/camera_info"] == "/flir/camera_info"
        assert names["visible/image_raw"] == "rgb/image_raw"
        assert names["visible/camera_info"] == "rgb/camera_info"


def test_replay_starts_a_player_and_the_fusion_node():
    commands = started("replay.launch.py", "source:=simulator:night", "rate:=2", "loop:=true", "namespace:=front")
    by_name = {Path(command[0]).name: command for command in commands}
    assert set(by_name) == {"fusion_node", "replay_node"}
    played = parameters(by_name["replay_node"])
    assert (played["source"], played["rate"], played["loop"]) == ("simulator:night", 2.0, True)
    assert all(remaps(command)["__ns"] == "/front" for command in commands)


@pytest.mark.parametrize(
    ("distribution", "variable"),
    [("jazzy", "FASTRTPS_DEFAULT_PROFILES_FILE"), ("kilted", "FASTDDS_DEFAULT_PROFILES_FILE")],
)
def test_a_fast_dds_profile_reaches_the_node_and_no_other_process(distribution, variable, monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", distribution)
    profile = str(ROOT / "config" / "fastdds.xml")
    processes = started_with_environment("replay.launch.py", f"fastdds_profile:={profile}")
    found = {Path(command[0]).name: (environment or {}) for command, environment in processes}
    assert found["fusion_node"][variable] == profile
    assert found["replay_node"].get(variable) != profile
    assert "PATH" in found["fusion_node"]  # added to the environment, not in its place


def test_a_fast_dds_profile_that_is_no_file_is_refused():
    file, context = loaded("fusion.launch.py", fastdds_profile="/nowhere/fastdds.xml")
    with pytest.raises(RuntimeError, match="which is no file"):
        file.fusion_node(context)


def test_several_pairs_of_cameras_are_nodes_apart_by_namespaces(tmp_path):
    file = tmp_path / "my.yaml"
    file.write_text("/**:\n  ros__parameters:\n    scale: 3\n/rear/fusion:\n  ros__parameters:\n    device: cpu\n")
    commands = started(
        "multi_camera.launch.py", "namespaces:=front, rear,left", f"params_file:={file}", "log_level:=warn"
    )
    assert [Path(command[0]).name for command in commands] == ["fusion_node"] * 3
    assert {remaps(command)["__ns"] for command in commands} == {"/front", "/rear", "/left"}
    for command in commands:
        names = remaps(command)
        assert names["__node"] == "fusion"
        assert names["thermal/image_raw"] == "thermal/image_raw"  # relative: in the namespace
        assert names["visible/camera_info"] == "visible/camera_info"
        assert str(file) in command
        assert command[command.index("--log-level") + 1] == "warn"


@pytest.mark.parametrize("namespaces", ["front,front", "front,,rear", ""])
def test_namespaces_that_do_not_differ_are_refused(namespaces):
    file, context = loaded("multi_camera.launch.py", namespaces=namespaces)
    with pytest.raises(RuntimeError, match=f"namespaces is '{namespaces}'; expected names that differ"):
        file.fusion_nodes(context)
