"""ROS parameters declared from a schema, checked when they are set, and read back as configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..errors import ConfigError
from ..options import OptionSpec
from ..schema import Schema, unknown_parameter
from .distributions import HAS_SET_CALLBACKS

Config = TypeVar("Config")


def descriptor(spec: OptionSpec, *, read_only: bool = False) -> ParameterDescriptor:
    """Return the ROS description of a parameter. Ranges are given where both limits are; the rest stands in words."""
    result = ParameterDescriptor(name=spec.name, description=spec.info.description, read_only=read_only)
    changes = "may be changed at any time" if spec.info.live else "fixed while the node is configured"
    if read_only:
        changes = "fixed from the start of the node"
    result.additional_constraints = "; ".join(filter(None, (spec.limits, changes)))
    low, high = spec.info.low, spec.info.high
    if spec.length is None and low is not None and high is not None:
        if spec.kind is int:
            result.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
        else:
            result.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high), step=0.0)]
    result.type = Parameter.Type.from_parameter_value(_plain(spec.default)).value
    # rclpy refuses `slop: 1` for a static double; with dynamic typing the type is ours to check.
    result.dynamic_typing = spec.kind is float
    return result


def declare(node: Node, spec: OptionSpec, *, read_only: bool = False) -> None:
    """Declare one parameter; where its given value is wrong, with its default, and :class:`ConfigError` says so."""
    # First with any type, so that a wrong one is no exception of rclpy's; then with the descriptor that counts.
    given = node.declare_parameter(spec.name, _plain(spec.default), ParameterDescriptor(dynamic_typing=True)).value
    value = spec.default
    try:
        value = spec.convert(given)
    finally:
        node.set_parameters([Parameter(spec.name, value=_plain(value))])
        node.set_descriptor(spec.name, descriptor(spec, read_only=read_only))


def read_parameters(node: Node, schema: Schema[Config]) -> Config:
    """Declare the parameters of ``schema``, fixed from the start, and return the configuration that they say.

    Raises :class:`ConfigError` for a value of another type or out of range, and for a contradiction.
    """
    for spec in schema.specs:
        declare(node, spec, read_only=True)
    return schema.build({spec.name: node.get_parameter(spec.name).value for spec in schema.specs})


class NodeParameters(Generic[Config]):
    """The parameters of one node, which may change while it runs.

    A value that the command line or a parameter file gives wrongly does not keep the node from starting: it is
    remembered, and :meth:`config` (that is, the configure transition) fails with it until it is set right. It also
    fails with a name that is no parameter, which only another start of the node can mend.

    Once the node is configured only live parameters can be changed: ``apply`` is called with the configuration after
    each set of parameters that was accepted as a whole.
    """

    def __init__(
        self,
        node: Node,
        schema: Schema[Config],
        is_configured: Callable[[], bool],
        apply: Callable[[Config], None] = lambda config: None,
    ) -> None:
        self._node = node
        self._schema = schema
        self._is_configured = is_configured
        self._apply = apply
        self._setting_back = False
        self._specs = {spec.name: spec for spec in schema.specs}
        self._wrong: dict[str, str] = {}  # what is wrong with a value that was given at the start, by name
        for spec in schema.specs:
            try:
                declare(node, spec)
            except ConfigError as error:
                self._wrong[spec.name] = str(error)
        node.add_on_set_parameters_callback(self._check)
        if HAS_SET_CALLBACKS:  # without, an integer stays one
            node.add_pre_set_parameters_callback(self._integers_to_floats)
            # After the set, as another's callback may refuse what this one accepts.
            node.add_post_set_parameters_callback(lambda _: self._changed(self._values()))

    def config(self) -> Config:
        """Return the configuration that the parameters say; :class:`ConfigError` where one is wrong."""
        wrong = [*self._unknown(), *self._wrong.values()]
        if wrong:
            raise ConfigError("; ".join(wrong))
        return self._schema.build(self._values())

    def set_back(self, section: str, config: Any) -> None:
        """Let the parameters of one section say what ``config`` says, whether they are live or not."""
        values = [
            Parameter(spec.name, value=_plain(getattr(config, spec.field)))
            for spec in self._schema.specs
            if spec.section == section
        ]
        self._setting_back = True
        try:
            self._node.set_parameters(values)
        finally:
            self._setting_back = False

    def unknown(self, name: str) -> str:
        """Return what to say of a name that is no parameter's."""
        return unknown_parameter(name, self._specs)

    def _unknown(self) -> list[str]:
        """Return what is wrong with names that were given to the node and that nobody declared."""
        given = self._node._parameter_overrides  # rclpy has no public way to what the command line and files say
        return [
            self.unknown(name)
            for name in sorted(given)
            if not self._node.has_parameter(name) and not name.startswith("qos_overrides.")  # declared when activated
        ]

    def _changed(self, values: dict[str, Any]) -> None:
        if self._is_configured():
            self._apply(self._schema.build(values))

    def _values(self) -> dict[str, Any]:
        return {name: self._node.get_parameter(name).value for name in self._specs}

    def _integers_to_floats(self, parameters: Sequence[Parameter[Any]]) -> list[Parameter[Any]]:
        return [
            Parameter(parameter.name, value=float(parameter.value))
            if type(parameter.value) is int and self._is_float(parameter.name)
            else parameter
            for parameter in parameters
        ]

    def _is_float(self, name: str) -> bool:
        return name in self._specs and self._specs[name].kind is float

    def _check(self, parameters: Sequence[Parameter[Any]]) -> SetParametersResult:
        """Refuse what a configured node cannot follow and what makes no valid configuration; name the reason."""
        values = self._values()
        ours = {parameter.name: parameter for parameter in parameters if parameter.name in values}
        for name, parameter in ours.items():
            spec = self._specs[name]
            if parameter.type_ == Parameter.Type.NOT_SET:
                return SetParametersResult(successful=False, reason=f"{name} cannot be removed")
            try:
                converted = spec.convert(parameter.value)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
            is_fixed = self._is_configured() and not spec.info.live and not self._setting_back
            if is_fixed and converted != spec.convert(values[name]):
                reason = f"{name} is fixed while the node is configured; deactivate and clean it up, set, configure"
                return SetParametersResult(successful=False, reason=reason)
        # Where parameters contradict each other already, as a file may have it, any change may be a step out of that.
        wanted = {**values, **{name: parameter.value for name, parameter in ours.items()}}
        contradiction = self._contradiction(wanted)
        if contradiction and not self._contradiction(values):
            return SetParametersResult(successful=False, reason=contradiction)
        for name in ours:
            self._wrong.pop(name, None)
        if ours and not HAS_SET_CALLBACKS:
            self._changed(wanted)
        return SetParametersResult(successful=True)

    def _contradiction(self, values: dict[str, Any]) -> str:
        """Return what is wrong with ``values`` taken together, nothing where nothing is."""
        try:
            self._schema.build(values)
        except ConfigError as error:
            return str(error)
        return ""


def _plain(value: Any) -> Any:
    """Return a field's value as rclpy takes it."""
    return list(value) if isinstance(value, tuple) else value
