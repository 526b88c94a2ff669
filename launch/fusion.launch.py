"""Start the fusion node: ``ros2 launch hkdnet_ros fusion.launch.py`` (``--show-args`` lists the arguments).

Two pairs of cameras are two inclusions of this file with two namespaces.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare


def beside(topic: str) -> PythonExpression:
    """Return the camera_info topic beside the image topic in argument ``topic``, as image_transport has it."""
    return PythonExpression(["'/'.join([*'", LaunchConfiguration(topic), "'.split('/')[:-1], 'camera_info'])"])


ARGUMENTS = [
    DeclareLaunchArgument("thermal_topic", default_value="thermal/image_raw", description="thermal images"),
    DeclareLaunchArgument("rgb_topic", default_value="rgb/image_raw", description="visible images"),
    DeclareLaunchArgument(
        "rgb_camera_info_topic",
        default_value=beside("rgb_topic"),
        description="calibration of the visible camera; camera_info beside rgb_topic if not given",
    ),
    DeclareLaunchArgument(
        "thermal_camera_info_topic",
        default_value=beside("thermal_topic"),
        description="calibration of the thermal camera; camera_info beside thermal_topic if not given",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([FindPackageShare("hkdnet_ros"), "config", "fusion.yaml"]),
        description="parameters of the node",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="namespace of the node and its relative topics"),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal"),
    DeclareLaunchArgument(
        "respawn", default_value="false", choices=["true", "false"], description="start the node anew when it has died"
    ),
    # Empty means: as the parameter file has it. Any default here would silently win over the file.
    DeclareLaunchArgument("device", default_value="", description="auto, cpu or cuda; empty: as in params_file"),
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
]


def fusion_node(context: LaunchContext) -> list[LifecycleNode]:
    """Return the node; runs when the arguments have their values."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    overrides: dict[str, str | bool] = {
        name: value(name) == "true" for name in ("autostart", "use_sim_time") if value(name)
    }
    if value("device"):
        overrides["device"] = value("device")
    return [
        LifecycleNode(
            package="hkdnet_ros",
            executable="fusion_node",
            name="fusion",
            namespace=value("namespace"),
            parameters=[value("params_file"), overrides],
            remappings=[
                ("thermal/image_raw", value("thermal_topic")),
                ("rgb/image_raw", value("rgb_topic")),
                ("rgb/camera_info", value("rgb_camera_info_topic")),
                ("thermal/camera_info", value("thermal_camera_info_topic")),
            ],
            ros_arguments=["--log-level", value("log_level")],
            respawn=value("respawn") == "true",
            respawn_delay=2.0,
            output="screen",
            emulate_tty=True,
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments and the node, which configures and activates itself unless ``autostart`` says no."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=fusion_node)])
