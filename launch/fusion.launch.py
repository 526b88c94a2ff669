"""Start the fusion node: ``ros2 launch hkdnet_ros fusion.launch.py`` (``--show-args`` lists the arguments).

multi_camera.launch.py starts several.
"""

import re
from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode

from hkdnet_ros.node.distributions import profile_variable

SHARE = Path(__file__).absolute().parents[1]
LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
NAME = "[A-Za-z_][A-Za-z0-9_]*"  # of one level of a namespace or topic

ARGUMENTS = [
    DeclareLaunchArgument("thermal_topic", default_value="thermal/image_raw", description="thermal images"),
    DeclareLaunchArgument("visible_topic", default_value="visible/image_raw", description="visible images"),
    DeclareLaunchArgument(
        "visible_camera_info_topic",
        default_value="",
        description="calibration of the visible camera; empty: camera_info beside visible_topic",
    ),
    DeclareLaunchArgument(
        "thermal_camera_info_topic",
        default_value="",
        description="calibration of the thermal camera; empty: camera_info beside thermal_topic",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=str(SHARE / "config" / "fusion.yaml"),
        description="parameters of the node",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its relative topics"),
    DeclareLaunchArgument(
        "log_level",
        default_value="info",
        description=f"{', '.join(LOG_LEVELS)}; LOGGER:=LEVEL sets that of one logger",
    ),
    DeclareLaunchArgument(
        "respawn", default_value="false", choices=["true", "false"], description="start the node anew when it has died"
    ),
    # Empty means: as the parameter file has it. Any default here would silently win over the file.
    DeclareLaunchArgument(
        "device", default_value="", description="auto, cpu, cuda or cuda:N; empty: as in params_file"
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="",
        choices=["true", "false", ""],
        description="configure and activate at the start; empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="",
        choices=["true", "false", ""],
        description="take the time from /clock; empty: as in params_file",
    ),
    DeclareLaunchArgument(
        "fastdds_profile",
        default_value="",
        description="profile for Fast DDS, config/fastdds.xml or by `hkdnet fastdds`; empty: as the environment has it",
    ),
]


def existing_file(name: str, value: str) -> str:
    """Return the path of the file that argument ``name`` is; ROS and Fast DDS would go on without it."""
    path = Path(value).expanduser()
    if not path.is_file():
        raise RuntimeError(f"{name} is {value!r}, which is no file")
    return str(path)


def nodes_in(section: object, name: str = "") -> list[str]:
    """Return the full names, with wildcards, of the nodes whose parameters a parameter file sets."""
    if not isinstance(section, dict):
        return []
    own = [name or "/"] if "ros__parameters" in section else []
    inside = ((str(key).strip("/"), value) for key, value in section.items() if key != "ros__parameters")
    return own + [node for key, value in inside for node in nodes_in(value, f"{name}/{key}")]


def is_meant(pattern: str, node: str) -> bool:
    """Tell whether rcl takes what is set for ``pattern`` for ``node``: * is one level of a name, ** are any."""
    expression = re.escape(pattern).replace(r"/\*\*", "(/.*)?").replace(r"\*", "[^/]+")
    return re.fullmatch(expression, node) is not None


def parameter_file(value: str, node: str) -> str:
    """Return the path of argument params_file; warn where it sets nothing of ``node``, a full name.

    ROS goes on with defaults then, as a node of multi_camera.launch.py may that the file does not name.
    """
    path = existing_file("params_file", value)
    try:
        sections = yaml.safe_load(Path(path).read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RuntimeError(f"params_file {path} cannot be read: {' '.join(str(error).split())}") from error
    nodes = nodes_in(sections)
    if not nodes:
        raise RuntimeError(
            f"params_file {path} sets no parameters; expected a node's name, such as /**, and below it "
            "ros__parameters, as in config/fusion.yaml"
        )
    if any(is_meant(name, node) for name in nodes):
        return path
    text = f"params_file {path} sets parameters of {', '.join(nodes)} and none of {node}; expected /** or that"
    if not any(name.endswith(("/fusion", "*")) for name in nodes):
        raise RuntimeError(text)
    get_logger("launch.user").warning(text)
    return path


def checked(name: str, value: str, pattern: str, expected: str) -> str:
    """Return the value of argument ``name`` where it is as ``expected``."""
    if not re.fullmatch(pattern, value):
        raise RuntimeError(f"{name} is {value!r}; expected {expected}")
    return value


def fusion_node(context: LaunchContext) -> list[LifecycleNode]:
    """Return the node; runs when the arguments have their values, and raises where one is wrong."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    def topic(name: str) -> str:
        return checked(name, value(name), rf"(~/|/)?({NAME}/)*{NAME}", "a topic, such as camera/image_raw")

    def camera_info(name: str, image: str) -> str:
        """As image_transport has it, unless it is given."""
        return topic(name) if value(name) else "/".join([*topic(image).split("/")[:-1], "camera_info"])

    overrides: dict[str, str | bool] = {
        name: value(name) == "true" for name in ("autostart", "use_sim_time") if value(name)
    }
    if value("device"):
        overrides["device"] = checked("device", value("device"), r"auto|cpu|cuda(:\d+)?", "auto, cpu, cuda or cuda:N")
    profile = existing_file("fastdds_profile", value("fastdds_profile")) if value("fastdds_profile") else ""
    levels = "|".join(LOG_LEVELS)
    log_level = checked("log_level", value("log_level"), rf"(?i)(.+:=)?({levels})", f"one of {', '.join(LOG_LEVELS)}")
    namespace = checked("namespace", value("namespace"), rf"|/|/?({NAME}/)*{NAME}", "a name, such as front")
    node = "/".join(["", *filter(None, namespace.split("/")), "fusion"])
    return [
        LifecycleNode(
            package="hkdnet_ros",
            executable="fusion_node",
            name="fusion",
            namespace=namespace,
            parameters=[parameter_file(value("params_file"), node), overrides],
            remappings=[
                ("thermal/image_raw", topic("thermal_topic")),
                ("visible/image_raw", topic("visible_topic")),
                ("visible/camera_info", camera_info("visible_camera_info_topic", "visible_topic")),
                ("thermal/camera_info", camera_info("thermal_camera_info_topic", "thermal_topic")),
            ],
            additional_env={profile_variable(): profile} if profile else {},
            ros_arguments=["--log-level", log_level],
            respawn=value("respawn") == "true",
            respawn_delay=2.0,
            output="screen",
            emulate_tty=True,
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the node, which configures and activates itself unless ``autostart`` says no."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=fusion_node)])
