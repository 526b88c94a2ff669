"""Runs a node as a process: spins it on several threads until Ctrl-C or SIGTERM, then ends it in order, status 0.

A signal only sets the switch that the main thread waits for; a second one finds the node ending already. `ros2 launch`
sends two as a matter of course.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .stop_switch import StopSwitch, ignore_signals

# The rest of what a node needs is imported once signals are under control.
if TYPE_CHECKING:
    from rclpy.node import Node

    from .loading import Loader

GRACE_S = 8.0  # ros2 launch sends SIGKILL 10 s after SIGINT
LEAVING = "leaving anyhow"  # is said where it did not
_THREADS = 4  # images, parameter services, and two for lifecycle services and autostart


def run_node(
    make_node: Callable[[Loader[Any]], Node],
    argv: Sequence[str] | None = None,
    usage: Callable[[str], str] | None = None,
) -> int:
    """Spin the node that ``make_node`` returns and return the exit status.

    0 after a signal and after help, 1 where the node failed by a defect (its traceback is printed), 2 where it could
    not start with these arguments, or here. ``make_node`` should import what it needs itself: signals are under control
    from here on, and skip what is left of a start. What the node loads by the loader that it is given is not waited for
    then. ``usage`` returns the help for the executable's name (usage.py). Call this from the main thread.
    """
    stop = StopSwitch()
    stop.obey_signals()
    from ..errors import HkdnetError
    from .loading import Loader
    from .usage import answer, refusal

    arguments = sys.argv if argv is None else list(argv)
    status = answer(arguments, usage) if usage else None
    if status is not None:
        ignore_signals()
        return status
    loader: Loader[Any] = Loader()

    def refuse(reason: str) -> int:
        print(f"{os.path.basename(arguments[0])}: {reason}", file=sys.stderr)
        return 2

    try:
        import rclpy
        from rclpy.exceptions import NameValidationException, ParameterException
        from rclpy.signals import SignalHandlerOptions
    except ModuleNotFoundError as error:
        return refuse(f"{error}; source a ROS 2 installation, or `make setup`")
    # RuntimeError: rcl's errors are, about --ros-args that are unknown or malformed, or an unreadable parameter file.
    try:
        rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
        node = None if stop.wait(0.0) else make_node(loader)
    except (RuntimeError, NameValidationException, ParameterException, HkdnetError) as error:
        return refuse(refusal(error))
    if node is None:
        rclpy.try_shutdown()
        ignore_signals()
        return 0
    runner = _Runner(node, loader, on_failure=stop.set)
    stop.wait()
    status = runner.end()
    ignore_signals()
    return status


class _Runner:
    """A node, its executor and the thread that spins them."""

    def __init__(self, node: Node, loader: Loader[Any], on_failure: Callable[[], Any]) -> None:
        from .distributions import SkippingExecutor

        self._node = node
        self._loader = loader
        self._on_failure = on_failure
        self._failed = False
        self._ending = threading.Event()
        self._executor = SkippingExecutor(num_threads=_THREADS)
        self._executor.add_node(node)
        self._spinner = threading.Thread(target=self._guarded(self._spin), name="spin", daemon=True)
        self._spinner.start()

    def end(self) -> int:
        """End everything in order and return the exit status; do not wait for ever where something is stuck.

        A model that is loading is not waited for, and the process is then left without the interpreter's own end,
        which would be in the way of the thread that loads.
        """
        ender = threading.Thread(target=self._guarded(self._end), name="end", daemon=True)
        ender.start()
        ender.join(GRACE_S)
        status = int(self._failed)
        if ender.is_alive():
            print(f"not ended within {GRACE_S:.0f} s, {LEAVING}", file=sys.stderr)
        if ender.is_alive() or self._loader.is_loading:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # the interpreter's own exit would wait for the threads that are stuck
        return status

    def _spin(self) -> None:
        while not self._ending.is_set():
            self._executor.spin_once(timeout_sec=1.0)

    def _end(self) -> None:
        import rclpy

        self._loader.give_up()
        self._ending.set()
        self._executor.wake()
        self._spinner.join()
        self._executor.shutdown()  # waits for callbacks
        self._node.destroy_node()
        rclpy.try_shutdown()

    def _guarded(self, action: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                action()
            except Exception:
                self._failed = True
                traceback.print_exc()
                self._on_failure()

        return run
