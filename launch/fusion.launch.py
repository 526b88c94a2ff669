"""Start the fusion node: ``ros2 launch hkdnet_ros fusion.launch.py`` (``--show-args`` lists the arguments).

multi_camera.launch.py starts several.
"""

from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import LifecycleNode
from launch_ros.substitutions import FindPackageShare

from hkdnet_ros.node.distributions import profile_variable


def beside(topic: str) -> PythonExpression:
    """Return the camera_info topic beside the image topic in argument ``topic``, as image_transport has it."""
    return PythonExpression(["'/'.join([*'", LaunchConfiguration(topic), "'.split('/')[:-1], 'camera_info'])"])


ARGUMENTS = [
    DeclareLaunchArgument("thermal_topic", default_value="thermal/image_raw", description="thermal images"),
    DeclareLaunchArgument("visible_topic", default_value="visible/image_raw", description="visible images"),
    DeclareLaunchArgument(
        "visible_camera_info_topic",
        default_value=beside("visible_topic"),
        description="calibration of the visible camera; camera_info beside visible_topic if not given",
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
    DeclareLaunchArgument(
        "fastdds_profile",
        default_value="",
        description="profile for Fast DDS, config/fastdds.xml or by `hkdnet fastdds`; empty: as the environment has it",
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
    profile = value("fastdds_profile")
    if profile and not Path(profile).is_file():  # Fast DDS itself would go on without it
        raise RuntimeError(f"fastdds_profile is {profile!r}, which is no file")
    return [
        LifecycleNode(
            package="hkdnet_ros",
            executable="fusion_node",
            name="fusion",
            namespace=value("namespace"),
            parameters=[value("params_file"), overrides],
            remappings=[
                ("thermal/image_raw", value("thermal_topic")),
                ("visible/image_raw", value("visible_topic")),
                ("visible/camera_info", value("visible_camera_info_topic")),
                ("thermal/camera_info", value("thermal_camera_info_topic")),
            ],
            additional_env={profile_variable(): profile} if profile else {},
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
