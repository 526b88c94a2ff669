"""Play a recording or the simulator into the fusion node, with rviz beside it on request.

``ros2 launch hkdnet_ros replay.launch.py source:=my.mcap rviz:=true``; the arguments of fusion.launch.py apply, too.
"""

import functools
from pathlib import Path

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from hkdnet_ros.errors import MissingDependencyError

SHARE = Path(__file__).absolute().parents[1]

ARGUMENTS = [
    DeclareLaunchArgument(
        "source",
        default_value="simulator",
        description="simulator, a folder of image pairs, two videos THERMAL,VISIBLE, or a rosbag2",
    ),
    DeclareLaunchArgument("rate", default_value="1.0", description="speed; 1 as recorded"),
    DeclareLaunchArgument(
        "loop", default_value="false", choices=["true", "false"], description="begin again at the end"
    ),
    DeclareLaunchArgument(
        "rviz", default_value="false", choices=["true", "false"], description="show the three images in rviz"
    ),
]


def settings(context: LaunchContext) -> dict[str, str | float | bool]:
    """Return what the player is to do; raises RuntimeError for a rate that is no number."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    try:
        rate = float(value("rate"))
    except ValueError as error:
        raise RuntimeError(f"rate is {value('rate')!r}; expected a number, such as 0.5") from error
    return {
        "source": value("source"),
        "rate": rate,
        "loop": value("loop") == "true",
        "wait": 60.0,  # for the fusion node, which has to load its model first
    }


def check(context: LaunchContext) -> None:
    """Raise for an argument that is wrong and for what is missing, before anything runs.

    A process that has been started when a later step fails goes on after the launch has ended.
    """
    wanted = settings(context)
    if LaunchConfiguration("rviz").perform(context) == "true":
        try:
            get_package_prefix("rviz2")
        except PackageNotFoundError as error:
            raise RuntimeError("rviz is true, but rviz2 is not installed; install it or leave rviz out") from error
    try:
        from hkdnet_ros.replay.config import ReplayConfig
        from hkdnet_ros.replay.replay_node import open_camera_source

        open_camera_source(ReplayConfig(**wanted)).close()
    except (ImportError, MissingDependencyError):
        pass  # this Python lacks what the player's may have; the player says what it lacks


def end(event: ProcessExited, context: LaunchContext, *, fusion_comes_back: bool) -> list[Shutdown]:
    """End the launch with the player, and where the fusion node has ended before; in failure where one of them failed.

    An error is the one way in which a launch ends with another status than 0.
    """
    name = event.action.node_executable if isinstance(event.action, Node) else ""
    if context.is_shutdown or name not in ("replay_node", "fusion_node"):
        return []
    if name == "fusion_node" and event.returncode and fusion_comes_back:
        return []
    if event.returncode:
        raise RuntimeError(f"{name} ended with status {event.returncode}; its last lines above say why")
    return [Shutdown(reason="the recording has ended" if name == "replay_node" else "the fusion node has ended")]


def replay_node(context: LaunchContext) -> list[Node | RegisterEventHandler]:
    """Return the node that plays the source, and what its end does; runs when the arguments have their values."""
    parameters = settings(context)
    parameters["source"] = ParameterValue(parameters["source"], value_type=str)  # a folder 2025_01_31 is no number
    respawn = LaunchConfiguration("respawn").perform(context) == "true"
    return [
        RegisterEventHandler(OnProcessExit(on_exit=functools.partial(end, fusion_comes_back=respawn))),
        Node(
            package="hkdnet_ros",
            executable="replay_node",
            name="replay",
            namespace=LaunchConfiguration("namespace"),
            parameters=[parameters],
            output="screen",
            emulate_tty=True,
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the fusion node, the player and, on request, rviz."""
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", str(SHARE / "config" / "fusion.rviz")],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    fusion = PythonLaunchDescriptionSource(str(SHARE / "launch" / "fusion.launch.py"))
    return LaunchDescription(
        [
            *ARGUMENTS,
            OpaqueFunction(function=check),
            IncludeLaunchDescription(fusion),
            OpaqueFunction(function=replay_node),
            rviz,
        ]
    )
