"""The launch files and the rviz configuration; what they start is evaluated where launch_ros is installed."""

from __future__ import annotations

import ast
import contextlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from recordings import write_bag

ROOT = Path(__file__).parents[2]
LAUNCH_FILES = sorted((ROOT / "launch").glob("*.launch.py"))

# Runs launch files, each for a second at most. Its argument is a JSON list of [file, argument, ...]. Prints a JSON list
# of each launch's exit status, its processes as [command line, environment], and what it logged.
RUNNER = """
import json, logging, sys
from launch import LaunchDescription, LaunchService
from launch.actions import EmitEvent, IncludeLaunchDescription, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessStart
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource

class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

for logger in ("launch", "launch.user"):
    logging.getLogger(logger).addHandler(Lines())
results = []
for path, *words in json.loads(sys.argv[1]):
    processes, lines = [], []
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription([
        RegisterEventHandler(OnProcessStart(on_start=lambda event, context: processes.append(
            (event.cmd, event.env and dict(event.env))  # Humble has os.environ itself
        ))),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(path), launch_arguments=[word.split(":=", 1) for word in words]
        ),
        TimerAction(period=1.0, actions=[EmitEvent(event=Shutdown())]),
    ]))
    status = service.run()
    results.append((status, processes, lines))
print(json.dumps(results))
"""


def environment():
    """Return the environment in which `ros2 launch` finds the package and its executables."""
    pytest.importorskip("launch_ros", reason="needs ROS 2's launch_ros")
    return {
        "AMENT_PREFIX_PATH": sys.prefix,
        **os.environ,
        "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": "99",
    }


def run_launch(*launches):
    """Return exit status, processes and log of each launch, given as the file's name and its arguments."""
    paths = [[str(ROOT / "launch" / name), *arguments] for name, *arguments in launches]
    command = [sys.executable, "-c", RUNNER, json.dumps(paths)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def started(name, *arguments):
    """Return the command lines that launch file ``name`` starts."""
    return [command for command, _ in started_with_environment(name, *arguments)]


def started_with_environment(name, *arguments):
    """Return what launch file ``name`` starts: a command line and the environment of each process, None for the own."""
    ((status, processes, lines),) = run_launch([name, *arguments])
    assert status == 0, lines
    return processes


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
        assert f'                ("{topic}", ' in text


@pytest.mark.parametrize(
    ("view", "shown", "others"),
    [
        ("fusion", ["thermal/image_raw", "visible/image_raw", "fused/image"], ["fused/validity", "fused/temperature"]),
        ("calibration", ["fused/overlay", "visible/image_raw", "thermal/image_raw", "fused/image"], []),
    ],
)
def test_rviz_shows_the_images(view, shown, others):
    configuration = yaml.safe_load((ROOT / "config" / f"{view}.rviz").read_text())
    displays = configuration["Visualization Manager"]["Displays"]
    assert {display["Class"] for display in displays} == {"rviz_default_plugins/Image"}
    assert [display["Topic"]["Value"] for display in displays if display["Enabled"]] == shown
    assert [display["Topic"]["Value"] for display in displays if not display["Enabled"]] == others  # for who looks
    # A reliable display would not hear a best-effort camera; our own images are reliable, and large.
    for display in displays:
        is_ours = display["Topic"]["Value"].startswith("fused/")
        assert display["Topic"]["Reliability Policy"] == ("Reliable" if is_ours else "Best Effort")
    names = [display["Name"] for display in displays if display["Enabled"]]
    assert set(names) < set(configuration["Window Geometry"])  # else rviz leaves its window out
    assert next(panel for panel in configuration["Panels"] if "Time" in panel["Class"])["SyncSource"] in names


def test_the_rqt_perspective_opens_an_image_the_diagnostics_and_the_parameters():
    perspective = json.loads((ROOT / "config" / "fusion.perspective").read_text())
    plugins = perspective["groups"]["pluginmanager"]
    running = ast.literal_eval(plugins["keys"]["running-plugins"]["repr"])
    # rqt_robot_monitor would show /diagnostics_agg, which an aggregator has to publish.
    assert set(running) == {"rqt_image_view/ImageView", "rqt_reconfigure/Param", "rqt_runtime_monitor/RuntimeMonitor"}

    def setting(plugin, name):
        group = plugins["groups"][f"plugin__{plugin.replace('/', '__')}__1"]["groups"]["plugin"]
        return ast.literal_eval(group["keys"][name]["repr"])

    assert setting("rqt_image_view/ImageView", "topic") == "/fused/image"
    assert setting("rqt_reconfigure/Param", "selected_nodes") == ["/fusion"]
    state = perspective["groups"]["mainwindow"]["keys"]["state"]["repr(QByteArray.hex)"]
    windows = bytes.fromhex(state.partition("'")[2].partition("'")[0])
    assert all(f"{plugin.replace('/', '__')}__1__".encode("utf-16-be") in windows for plugin in running)


def test_the_foxglove_layout_shows_every_panel_once_and_what_is_published():
    layout = json.loads((ROOT / "config" / "foxglove.json").read_text())
    panels = layout["configById"]

    def placed(tree):
        return [tree] if isinstance(tree, str) else [*placed(tree["first"]), *placed(tree["second"])]

    assert sorted(placed(layout["layout"])) == sorted(panels)
    images = [panel["imageMode"]["imageTopic"] for panel in panels.values() if "imageMode" in panel]
    assert images == ["/thermal/image_raw", "/visible/image_raw", "/fused/image"]
    message = (ROOT / "msg" / "FusionStatus.msg").read_text()
    fields = {words[1] for line in message.splitlines() if len(words := line.partition("#")[0].split()) == 2}
    paths = [path for panel in panels.values() for path in panel.get("paths", [])]
    assert len(paths) == 6
    for path in paths:
        topic, field = path["value"].split(".")[:2]
        assert topic == "/fused/status"
        assert field in fields
        assert path["enabled"]  # without this word Foxglove draws nothing


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


def test_a_parameter_file_of_another_namespace_is_warned_of(tmp_path):
    for index, (name, is_meant) in enumerate(
        {
            "fusion": False,
            "/front/fusion": True,
            "front: {fusion": True,
            "/rear/fusion": False,
        }.items()
    ):
        file = tmp_path / f"{index}.yaml"
        file.write_text(f"{name}: {{ros__parameters: {{scale: 3}}}}{'}' * name.count('{')}\n")
        ((status, commands, lines),) = run_launch(("fusion.launch.py", "namespace:=front", f"params_file:={file}"))
        assert (status, len(commands)) == (0, 1)
        assert is_meant != any("and none of /front/fusion; expected /** or that" in line for line in lines), name


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


def test_replay_plays_a_bag_that_is_named_as_one(tmp_path):
    bag = write_bag(tmp_path / "2025_01_31", "mcap")
    topics = ("thermal_topic:=/thermal/image_raw", "visible_topic:=/visible/image_raw")
    commands = started("replay.launch.py", f"bag:={bag}", *topics)
    (player,) = [command for command in commands if Path(command[0]).name == "replay_node"]
    assert parameters(player)["source"] == str(bag)


def test_two_sources_end_the_launch_before_anything_starts():
    ((status, processes, lines),) = run_launch(["replay.launch.py", "bag:=/a", "source:=/b"])
    assert (status, processes) == (1, [])
    assert any("source is '/b' and bag '/a'; give one of them" in line for line in lines)


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


# Launch files with one argument that is wrong, and what is said of it; FOLDER is replaced.
OF_FUSION = [
    ("params_file:=/nowhere.yaml", "params_file is '/nowhere.yaml', which is no file"),
    ("params_file:=FOLDER", "which is no file"),
    ("params_file:=FOLDER/malformed.yaml", "malformed.yaml cannot be read"),
    ("params_file:=FOLDER/empty.yaml", "empty.yaml sets no parameters; expected a node's name, such as /**"),
    ("params_file:=FOLDER/flat.yaml", "flat.yaml sets no parameters"),
    ("params_file:=FOLDER/other.yaml", "other.yaml sets parameters of /fusion_node, /front/camera and none of /"),
    ("fastdds_profile:=/nowhere.xml", "fastdds_profile is '/nowhere.xml', which is no file"),
    ("log_level:=loud", "log_level is 'loud'; expected one of debug, info, warn, error, fatal"),
    ("log_level:=", "log_level is ''; expected one of"),
    ("device:=gpu", "device is 'gpu'; expected auto, cpu, cuda or cuda:N"),
    ("thermal_topic:=a b", "thermal_topic is 'a b'; expected a topic"),
    ("visible_topic:=", "visible_topic is ''; expected a topic"),
    ("visible_camera_info_topic:=/a//b", "visible_camera_info_topic is '/a//b'; expected a topic"),
    ("respawn:=yes", '"respawn" provided value "yes" is not valid'),
    ("autostart:=1", '"autostart" provided value "1" is not valid'),
    ("use_sim_time:=True", '"use_sim_time" provided value "True" is not valid'),
]
WRONG = [
    *(("fusion.launch.py", *case) for case in OF_FUSION),
    ("fusion.launch.py", "namespace:=1front", "namespace is '1front'; expected a name, such as front"),
    *(("multi_camera.launch.py", *case) for case in OF_FUSION),
    ("multi_camera.launch.py", "namespaces:=front,front", "namespaces is 'front,front'; expected names that differ"),
    ("multi_camera.launch.py", "namespaces:=front,/front", "namespaces is 'front,/front'; expected names that differ"),
    ("multi_camera.launch.py", "namespaces:=front,,rear", "namespaces is 'front,,rear'; expected names that differ"),
    ("multi_camera.launch.py", "namespaces:=front,my rear", "namespaces is 'front,my rear'; expected names"),
    ("multi_camera.launch.py", "namespaces:=", "namespaces is ''; expected names that differ"),
    *(("replay.launch.py", *case) for case in OF_FUSION),
    ("replay.launch.py", "namespace:=1front", "namespace is '1front'; expected a name, such as front"),
    ("replay.launch.py", "source:=/nowhere", "/nowhere: no such file or folder"),
    ("replay.launch.py", "source:=FOLDER", "FOLDER"),
    ("replay.launch.py", "bag:=/nowhere", "/nowhere: no such file or folder"),
    ("replay.launch.py", "source:=simulator:noon", "noon"),
    ("replay.launch.py", "rate:=fast", "rate is 'fast'; expected a number"),
    ("replay.launch.py", "rate:=0", "rate is 0.0; it must lie in"),
    ("replay.launch.py", "rate:=nan", "rate is nan; it must lie in"),
    ("replay.launch.py", "loop:=yes", '"loop" provided value "yes" is not valid'),
    ("replay.launch.py", "view:=street", '"view" provided value "street" is not valid'),
    ("replay.launch.py", "rviz:=yes", '"rviz" provided value "yes" is not valid'),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What each launch of WRONG came to, by the file and its argument."""
    folder = tmp_path_factory.mktemp("arguments")
    (folder / "malformed.yaml").write_text("/**: [")
    (folder / "empty.yaml").write_text("")
    (folder / "flat.yaml").write_text("scale: 2\n")
    own = "{ros__parameters: {scale: 3}}"
    (folder / "other.yaml").write_text(f"fusion_node: {own}\nfront: {{camera: {own}}}\n")
    results = run_launch(*[(file, argument.replace("FOLDER", str(folder))) for file, argument, _ in WRONG])
    return folder, dict(zip(((file, argument) for file, argument, _ in WRONG), results, strict=True))


@pytest.mark.parametrize(("file", "argument", "said"), WRONG)
def test_a_wrong_argument_ends_the_launch_in_failure_before_anything_starts(answers, file, argument, said):
    folder, results = answers
    status, processes, lines = results[file, argument]
    assert status == 1
    assert processes == []
    (line,) = [line for line in lines if line.startswith("Caught exception")]
    assert said.replace("FOLDER", str(folder)) in line
    assert "\n" not in line


def test_rviz_that_is_missing_is_said_before_anything_starts():
    pytest.importorskip("launch_ros", reason="needs ROS 2's launch_ros")
    from ament_index_python.packages import PackageNotFoundError, get_package_prefix

    with contextlib.suppress(PackageNotFoundError):
        pytest.skip(f"rviz2 is in {get_package_prefix('rviz2')}")
    ((status, processes, lines),) = run_launch(["replay.launch.py", "rviz:=true"])
    assert (status, processes) == (1, [])
    assert any("rviz is true, but rviz2 is not installed" in line for line in lines)


@pytest.mark.parametrize(
    "words",
    [
        ["fusion.launch.py", "log_level:=WARN"],
        ["fusion.launch.py", "log_level:=rcl:=debug", "device:=cuda:1", "namespace:=/robot/front"],
        ["fusion.launch.py", "thermal_topic:=~/image", "visible_topic:=/a/b_2/image", "namespace:="],
        ["multi_camera.launch.py", "namespaces:=/front,robot/rear"],
    ],
)
def test_every_right_form_of_an_argument_is_taken(words):
    assert {Path(command[0]).name for command in started(*words)} == {"fusion_node"}


@pytest.mark.parametrize("path", LAUNCH_FILES, ids=lambda path: path.name)
def test_show_args_lists_what_the_node_takes_and_no_code(path):
    """As `ros2 launch --show-args` finds them: without running what is included by a function."""
    code = f"""
from launch.launch_description_sources import get_launch_description_from_python_launch_file
description = get_launch_description_from_python_launch_file({str(path)!r})
for argument in description.get_launch_arguments():
    print(argument.name, "".join(part.describe() for part in argument.default_value))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60, check=True
    )
    defaults = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    of_fusion = {"thermal_topic", "visible_topic", "params_file", "log_level", "device", "respawn", "fastdds_profile"}
    assert of_fusion <= set(defaults)
    assert ("namespace" in defaults) == (path.name != "multi_camera.launch.py")
    assert not [default for default in defaults.values() if "Expr" in default or "Join" in default]


# Runs replay.launch.py with stand-ins for both executables, which end with the status in their environment.
STAND_IN = """#!/bin/sh
name=$(basename "$0")
trap 'exit 0' INT TERM
if [ "$name" = "$ENDING" ]; then sleep 0.2; exit "$STATUS"; fi
for i in $(seq 100); do sleep 0.1; done
"""


@pytest.mark.parametrize(
    ("ending", "status", "expected"),
    [("replay_node", 0, 0), ("replay_node", 1, 1), ("replay_node", 2, 1), ("fusion_node", 2, 1), ("fusion_node", 0, 0)],
)
def test_a_replay_ends_in_failure_where_one_of_its_nodes_failed(tmp_path, ending, status, expected):
    variables = environment()
    prefix = tmp_path / "prefix"
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    executables = prefix / "lib" / "hkdnet_ros"
    for folder in (index, executables):
        folder.mkdir(parents=True)
    (index / "hkdnet_ros").touch()
    for name in ("replay_node", "fusion_node"):
        (executables / name).write_text(STAND_IN)
        (executables / name).chmod(0o755)
    code = f"""
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService(noninteractive=True)
source = PythonLaunchDescriptionSource({str(ROOT / "launch" / "replay.launch.py")!r})
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source)]))
sys.exit(service.run())
"""
    variables["AMENT_PREFIX_PATH"] = f"{prefix}:{variables['AMENT_PREFIX_PATH']}"
    variables |= {"ENDING": ending, "STATUS": str(status)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables, timeout=60)
    assert done.returncode == expected, done.stdout + done.stderr
    assert (f"{ending} ended with status {status}" in done.stdout + done.stderr) == bool(expected)
