"""Play a recording or the simulator into the fusion node, with rviz beside it on request.

``ros2 launch hkdnet_ros replay.launch.py source:=my.mcap rviz:=true``; the arguments of fusion.launch.py apply, too.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.conditions import IfCondition
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SHARE = FindPackageShare("hkdnet_ros")

# The cameras are played, heard by the fusion node and shown under the names that they have in the bag.
CAMERA_TOPICS = [
    (f"{stream}/{name}", LaunchConfiguration(f"{stream}_{argument}"))
    for stream in ("thermal", "visible")
    for name, argument in (("image_raw", "topic"), ("camera_info", "camera_info_topic"))
]

ARGUMENTS = [
    DeclareLaunchArgument(
        "source",
        default_value="simulator",
        description="simulator, a folder of image pairs, two videos THERMAL,VISIBLE, or a bag, whose images are those "
        "of thermal_topic and visible_topic",
    ),
    DeclareLaunchArgument("rate", default_value="1.0", description="speed; 1 as recorded"),
    DeclareLaunchArgument(
        "loop", default_value="false", choices=["true", "false"], description="begin again at the end"
    ),
    DeclareLaunchArgument(
        "rviz", default_value="false", choices=["true", "false"], description="show the three images in rviz"
    ),
]


def end_of_recording(event: ProcessExited, context: LaunchContext) -> list[Shutdown]:
    """End the launch with the player, unless it is the launch that ends."""
    return [] if context.is_shutdown else [Shutdown(reason="the recording has ended")]


def replay_node(context: LaunchContext) -> list[Node]:
    """Return the node that plays the source; runs when the arguments have their values."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    parameters = {
        "source": ParameterValue(value("source"), value_type=str),  # else a folder called 2025_01_31 becomes a number
        "rate": float(value("rate")),
        "loop": value("loop") == "true",
        "thermal_topic": ParameterValue(value("thermal_topic"), value_type=str),
        "visible_topic": ParameterValue(value("visible_topic"), value_type=str),
        "wait": 60.0,  # for the fusion node, which has to load its model first
    }
    return [
        Node(
            package="hkdnet_ros",
            executable="replay_node",
            name="replay",
            namespace=value("namespace"),
            parameters=[parameters],
            remappings=CAMERA_TOPICS,
            output="screen",
            emulate_tty=True,
            on_exit=end_of_recording,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the fusion node, the player and, on request, rviz."""
    fusion = PathJoinSubstitution([SHARE, "launch", "fusion.launch.py"])
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=LaunchConfiguration("namespace"),
        arguments=["-d", PathJoinSubstitution([SHARE, "config", "fusion.rviz"])],
        remappings=CAMERA_TOPICS,
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription(
        [
            *ARGUMENTS,
            IncludeLaunchDescription(PythonLaunchDescriptionSource(fusion)),
            OpaqueFunction(function=replay_node),
            rviz,
        ]
    )
