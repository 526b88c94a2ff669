"""A recording or the simulator as two cameras on ROS topics; the executable ``replay_node``, and for a command."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..node.stop_switch import StopSwitch, ignore_signals

# The rest is imported once signals are under control.
if TYPE_CHECKING:
    from rclpy.executors import Executor
    from rclpy.node import Node

    from ..sources.camera_source import CameraSource
    from .config import ReplayConfig


def replay(config: ReplayConfig, ros_arguments: Sequence[str]) -> int:
    """Replay until the end or Ctrl-C; return 0, or 2 where ROS refused ``ros_arguments`` (those after --ros-args).

    Raises :class:`~hkdnet_ros.errors.HkdnetError` for a source that cannot be opened or read on, and without ROS.
    """
    source = open_camera_source(config)  # before ROS starts, so that a wrong name is said at once
    stop = StopSwitch()
    stop.obey_signals()
    try:
        return _replay(stop, ["hkdnet", "--ros-args", *ros_arguments], lambda _: (config, source))
    finally:
        source.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a node whose settings are ROS parameters; return the exit status: 1 for an error, said in one line.

    ``--help`` lists the parameters.
    """
    stop = StopSwitch()
    stop.obey_signals()
    from ..errors import HkdnetError
    from ..node.usage import answer
    from ..schema import Schema
    from .config import ReplayConfig

    arguments = list(sys.argv if argv is None else argv)
    status = answer(arguments, _usage)
    if status is not None:
        ignore_signals()
        stop.close()
        return status

    def configure(node: Node) -> tuple[ReplayConfig, CameraSource]:
        from ..node.parameters import read_parameters

        config = read_parameters(node, Schema(ReplayConfig))
        return config, open_camera_source(config)

    try:
        return _replay(stop, arguments, configure)
    except HkdnetError as error:
        print(f"replay_node: {error}", file=sys.stderr)
        return 1


def _usage(name: str) -> str:
    from ..node.usage import usage
    from ..schema import Schema
    from .config import ReplayConfig

    summary = "Plays a recording or the simulator on thermal/image_raw, visible/image_raw and their camera_info."
    return usage(name, summary, Schema(ReplayConfig))


def open_camera_source(config: ReplayConfig) -> CameraSource:
    """Return the source that ``config`` names; :class:`~hkdnet_ros.errors.SourceError` where it cannot be opened."""
    from ..sources.opening import open_source

    return open_source(
        config.source, size=config.size if max(config.size) else None,
        thermal_size=config.thermal_size if max(config.thermal_size) else None, fps=config.fps,
        thermal_topic=config.thermal_topic, visible_topic=config.visible_topic,
    )  # fmt: skip


def _replay(
    stop: StopSwitch, ros_arguments: list[str], configure: Callable[[Node], tuple[ReplayConfig, CameraSource]]
) -> int:
    try:
        return _replay_until(stop, ros_arguments, configure)
    finally:
        ignore_signals()
        stop.close()


def _replay_until(
    stop: StopSwitch, ros_arguments: list[str], configure: Callable[[Node], tuple[ReplayConfig, CameraSource]]
) -> int:
    from ..errors import MissingDependencyError
    from ..node.usage import refusal

    try:
        import rclpy
        from rclpy.exceptions import NameValidationException
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        from .player import Player
    except ImportError as error:
        raise MissingDependencyError(
            f"replay needs ROS 2 for Python, which is not here ({error}); source a ROS"
        ) from error
    context = rclpy.Context()
    try:
        rclpy.init(args=ros_arguments, context=context, signal_handler_options=SignalHandlerOptions.NO)
        node = rclpy.create_node("replay", context=context)
    except (RuntimeError, NameValidationException) as error:  # rcl's: unknown or malformed --ros-args, a bad namespace
        context.try_shutdown()
        print(f"{os.path.basename(ros_arguments[0])}: {refusal(error)}", file=sys.stderr)
        return 2
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    ending = threading.Event()
    spinner = threading.Thread(target=_spin, args=(executor, ending), name="spin", daemon=True)
    try:
        config, source = configure(node)
        player = Player(node, source, config)
        spinner.start()
        node.get_logger().info(str(player.play(stop)))
    finally:
        ending.set()
        if spinner.is_alive():
            executor.wake()
            spinner.join()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
    return 0


def _spin(executor: Executor, ending: threading.Event) -> None:
    while not ending.is_set():
        executor.spin_once(timeout_sec=1.0)


if __name__ == "__main__":
    sys.exit(main())
