"""Play a recording or the simulator into the fusion node, with rviz beside it on request.

``ros2 launch hkdnet_ros replay.launch.py bag:=my.mcap rviz:=true``; the arguments of fusion.launch.py apply, too.
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
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from hkdnet_ros.errors import MissingDependencyError

SHARE = Path(__file__).absolute().parents[1]

FUSION = str(SHARE / "launch" / "fusion.launch.py")

SIMULATOR = "simulator"

ARGUMENTS = [
    DeclareLaunchArgument(
        "source",
        default_value=SIMULATOR,
        description="simulator, a folder of image pairs, two videos THERMAL,VISIBLE, or a bag, whose images are those "
        "of thermal_topic and visible_topic",
    ),
    DeclareLaunchArgument("bag", default_value="", description="a bag; the same as source"),
    DeclareLaunchArgument("rate", default_value="1.0", description="speed; 1 as recorded"),
    DeclareLaunchArgument(
        "loop", default_value="false", choices=["true", "false"], description="begin again at the end"
    ),
    DeclareLaunchArgument(
        "rviz", default_value="false", choices=["true", "false"], description="show the images in rviz"
    ),
    DeclareLaunchArgument(
        "view",
        default_value="fusion",
        choices=["fusion", "calibration"],
        description="what rviz shows: the three images, or thermal's edges drawn over the visible image, too",
    ),
]


def value(context: LaunchContext, name: str) -> str:
    """Return the value of an argument."""
    return str(LaunchConfiguration(name).perform(context))


def settings(context: LaunchContext) -> dict[str, str | float | bool]:
    """Return what the player is to do; raises RuntimeError for a rate that is no number and for two sources."""
    bag, source = value(context, "bag"), value(context, "source")
    if bag and source != SIMULATOR:
        raise RuntimeError(f"source is {source!r} and bag {bag!r}; give one of them")

    try:
        rate = float(value(context, "rate"))
    except ValueError as error:
        raise RuntimeError(f"rate is {value(context, 'rate')!r}; expected a number, such as 0.5") from error
    return {
        "source": bag or source,
        "rate": rate,
        "loop": value(context, "loop") == "true",
        "thermal_topic": value(context, "thermal_topic"),
        "visible_topic": value(context, "visible_topic"),
        "wait": 60.0,  # for the fusion node, which has to load its model first
    }


def check(context: LaunchContext) -> None:
    """Raise for an argument that is wrong and for what is missing, before anything runs.

    A process that has been started when a later step fails goes on after the launch has ended.
    """
    wanted = settings(context)
    if value(context, "rviz") == "true":
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


def camera_topics(context: LaunchContext) -> list[tuple[str, str]]:
    """Return the remaps by which the cameras are played, and shown, under the names that they have in the bag."""
    remaps = []
    for stream in ("thermal", "visible"):
        image = value(context, f"{stream}_topic")
        beside = "/".join([*image.split("/")[:-1], "camera_info"])
        remaps += [
            (f"{stream}/image_raw", image),
            (f"{stream}/camera_info", value(context, f"{stream}_camera_info_topic") or beside),
        ]
    return remaps


def player_and_rviz(context: LaunchContext) -> list[Node | RegisterEventHandler]:
    """Return the node that plays the source, what its end does, and rviz; runs when the arguments have their values."""
    # As texts: YAML would make a number of a folder called 2025_01_31.
    parameters = {
        name: ParameterValue(setting, value_type=str) if isinstance(setting, str) else setting
        for name, setting in settings(context).items()
    }
    respawn = value(context, "respawn") == "true"
    return [
        RegisterEventHandler(OnProcessExit(on_exit=functools.partial(end, fusion_comes_back=respawn))),
        Node(
            package="hkdnet_ros",
            executable="replay_node",
            name="replay",
            namespace=LaunchConfiguration("namespace"),
            parameters=[parameters],
            remappings=camera_topics(context),
            output="screen",
            emulate_tty=True,
        ),
        Node(
            package="rviz2",
            executable="rviz2",
            namespace=LaunchConfiguration("namespace"),
            arguments=["-d", str(SHARE / "config" / f"{value(context, 'view')}.rviz")],
            remappings=camera_topics(context),
            condition=IfCondition(LaunchConfiguration("rviz")),
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the fusion node, the player and, on request, rviz."""
    # Before the check, which needs their values.
    of_fusion = [
        argument
        for argument in get_launch_description_from_python_launch_file(FUSION).entities
        if isinstance(argument, DeclareLaunchArgument)
    ]
    return LaunchDescription(
        [
            *ARGUMENTS,
            *of_fusion,
            OpaqueFunction(function=check),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(FUSION)),
            OpaqueFunction(function=player_and_rviz),
        ]
    )
