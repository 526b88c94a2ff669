"""Fuse several pairs of cameras: a fusion node in a process of its own for each, apart by namespaces.

``ros2 launch hkdnet_ros multi_camera.launch.py namespaces:=front,rear`` fuses front/thermal/image_raw with
front/visible/image_raw into front/fused/image, and the same under rear. The arguments of fusion.launch.py apply to each
node; a params_file can tell them apart by their names, /front/fusion and /rear/fusion, beside /** for all of them.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare


def fusion_nodes(context: LaunchContext) -> list[GroupAction]:
    """Return the nodes; runs when the arguments have their values."""
    text = LaunchConfiguration("namespaces").perform(context)
    namespaces = [name.strip() for name in text.split(",")]
    if not all(namespaces) or len(set(namespaces)) < len(namespaces):
        raise RuntimeError(f"namespaces is {text!r}; expected names that differ, such as front,rear")
    fusion = PathJoinSubstitution([FindPackageShare("hkdnet_ros"), "launch", "fusion.launch.py"])
    # In groups, as an included file's arguments hold from there on otherwise.
    return [
        GroupAction(
            [
                IncludeLaunchDescription(
                    PythonLaunchDescriptionSource(fusion), launch_arguments=[("namespace", namespace)]
                )
            ]
        )
        for namespace in namespaces
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the argument and the nodes."""
    namespaces = DeclareLaunchArgument(
        "namespaces", default_value="front,rear", description="one for each pair of cameras, with commas between"
    )
    return LaunchDescription([namespaces, OpaqueFunction(function=fusion_nodes)])
