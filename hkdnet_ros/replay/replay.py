"""``hkdnet replay`` and the executable ``replay_node``: a recording or the simulator as two cameras on ROS topics."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..arguments import parse_size
from ..errors import ConfigError, HkdnetError, MissingDependencyError
from ..node.stop_switch import StopSwitch, ignore_signals
from ..options import option_info
from ..sources.camera_source import CameraSource
from ..sources.opening import open_source
from .config import ReplayConfig

if TYPE_CHECKING:
    from rclpy.executors import Executor
    from rclpy.node import Node

_METAVARS = {"duration": "SECONDS", "wait": "SECONDS", "rate": "FACTOR", "fps": "HZ"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare an argument for every field of :class:`ReplayConfig`."""
    for field in dataclasses.fields(ReplayConfig):
        info = option_info(field)
        name, text = f"--{field.name.replace('_', '-')}", info.description
        if field.name == "source":
            parser.add_argument("source", metavar="SOURCE", help=text)
        elif field.name == "faults":
            parser.add_argument(
                "--fault", dest="faults", action="append", default=argparse.SUPPRESS, metavar="STREAM:NAME=VALUE[,...]",
                help="thermal or visible: delay, offset, jitter, stop in seconds, drop a probability; may be repeated",
            )  # fmt: skip
        elif field.name == "size":
            parser.add_argument(
                name, type=parse_size, default=argparse.SUPPRESS, metavar="WxH", help="bring both images to this size"
            )
        elif field.default is False:
            parser.add_argument(name, action="store_true", default=argparse.SUPPRESS, help=text)
        else:
            parser.add_argument(
                name, type=type(field.default), default=field.default, choices=info.choices or None,
                metavar=None if info.choices else _METAVARS.get(field.name, type(field.default).__name__.upper()),
                help=text,
            )  # fmt: skip
    parser.add_argument(
        "--ros-args", nargs=argparse.REMAINDER, default=argparse.SUPPRESS, metavar="...",
        help="what follows is for ROS, such as -r __ns:=/robot",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Replay until the end or Ctrl-C; return 0, or 2 where ROS refused its arguments."""
    names = [field.name for field in dataclasses.fields(ReplayConfig)]
    given = {name: value for name, value in vars(arguments).items() if name in names}
    config = ReplayConfig(**{**given, "faults": " ".join(given.get("faults", ()))})
    source = _open(config)  # before ROS starts, so that a wrong name is said at once
    try:
        return _replay(["hkdnet", "--ros-args", *getattr(arguments, "ros_args", ())], lambda _: (config, source))
    finally:
        source.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a node whose settings are ROS parameters; return the exit status: 1 for an error, said in one line."""

    def configure(node: Node) -> tuple[ReplayConfig, CameraSource]:
        config = config_from_parameters(node)
        return config, _open(config)

    try:
        return _replay(list(sys.argv if argv is None else argv), configure)
    except HkdnetError as error:
        print(f"replay_node: {error}", file=sys.stderr)
        return 1


def config_from_parameters(node: Node) -> ReplayConfig:
    """Declare a parameter for every field of :class:`ReplayConfig` and return what they say.

    Raises :class:`ConfigError` for a value of another type or out of range.
    """
    from rcl_interfaces.msg import ParameterDescriptor

    values: dict[str, Any] = {}
    for field in dataclasses.fields(ReplayConfig):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        # Dynamic typing, so that `rate: 2` will do for a float; the type is checked below.
        descriptor = ParameterDescriptor(
            description=option_info(field).description, dynamic_typing=True, read_only=True
        )
        value = node.declare_parameter(field.name, default, descriptor).value
        if isinstance(default, float) and type(value) is int:
            value = float(value)
        if isinstance(default, list) and hasattr(value, "__len__") and not isinstance(value, str):
            value = list(value)
        if type(value) is not type(default) or (isinstance(value, list) and any(type(v) is not int for v in value)):
            raise ConfigError(f"{field.name} is {value!r}; it must be of the kind of its default, {default!r}")
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return ReplayConfig(**values)


def _open(config: ReplayConfig) -> CameraSource:
    return open_source(
        config.source, size=config.size if max(config.size) else None, fps=config.fps,
        thermal_topic=config.thermal_topic, visible_topic=config.visible_topic,
    )  # fmt: skip


def _replay(ros_arguments: list[str], configure: Callable[[Node], tuple[ReplayConfig, CameraSource]]) -> int:
    stop = StopSwitch()
    stop.obey_signals()
    try:
        return _replay_until(stop, ros_arguments, configure)
    finally:
        ignore_signals()
        stop.close()


def _replay_until(
    stop: StopSwitch, ros_arguments: list[str], configure: Callable[[Node], tuple[ReplayConfig, CameraSource]]
) -> int:
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
        print(f"{os.path.basename(ros_arguments[0])}: {' '.join(str(error).split())}", file=sys.stderr)
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
