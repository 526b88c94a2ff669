"""Fuse several pairs of cameras: a fusion node in a process of its own for each, apart by namespaces.

``ros2 launch hkdnet_ros multi_camera.launch.py namespaces:=front,rear`` fuses front/thermal/image_raw with
front/visible/image_raw into front/fused/image, and the same under rear. The arguments of fusion.launch.py apply to each
node; a params_file can tell them apart by their names, /front/fusion and /rear/fusion, beside /** for all of them.
"""

import re
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import (
    PythonLaunchDescriptionSource,
    get_launch_description_from_python_launch_file,
)
from launch.substitutions import LaunchConfiguration

NAME = "[A-Za-z_][A-Za-z0-9_]*"  # of one level of a namespace
FUSION = str(Path(__file__).absolute().with_name("fusion.launch.py"))


def fusion_nodes(context: LaunchContext) -> list[GroupAction]:
    """Return the nodes; runs when the arguments have their values, and raises where the namespaces are wrong."""
    text = LaunchConfiguration("namespaces").perform(context)
    namespaces = [name.strip() for name in text.split(",")]
    are_names = all(re.fullmatch(f"/?({NAME}/)*{NAME}", name) for name in namespaces)
    if not are_names or len({name.strip("/") for name in namespaces}) < len(namespaces):
        raise RuntimeError(f"namespaces is {text!r}; expected names that differ, such as front,rear")
    # In groups, as an included file's arguments hold from there on otherwise.
    return [
        GroupAction(
            [
                IncludeLaunchDescription(
                    PythonLaunchDescriptionSource(FUSION), launch_arguments=[("namespace", namespace)]
                )
            ]
        )
        for namespace in namespaces
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, those of fusion.launch.py among them, and the nodes."""
    namespaces = DeclareLaunchArgument(
        "namespaces", default_value="front,rear", description="one for each pair of cameras, with commas between"
    )
    # Named here, too: what a function includes is not listed by --show-args.
    of_each = [
        argument
        for argument in get_launch_description_from_python_launch_file(FUSION).entities
        if isinstance(argument, DeclareLaunchArgument) and argument.name != "namespace"
    ]
    return LaunchDescription([namespaces, *of_each, OpaqueFunction(function=fusion_nodes)])
