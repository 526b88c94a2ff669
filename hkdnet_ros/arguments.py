"""Words of the command line that several verbs share, and options generated from configuration dataclasses."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from .options import option_specs

Config = TypeVar("Config")


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Says behind each option its default, where it has one that says anything, or that it is required."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.required and action.option_strings:
            return f"{action.help} (required)"
        if action.default is None or action.default is False or action.default in ([], ""):
            return action.help
        return super()._get_help_string(action)


def parse_size(text: str) -> tuple[int, int]:
    """Read ``WxH``; raises argparse's error for anything else."""
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; expected WIDTHxHEIGHT, such as 640x480")
    return int(width), int(height)


def add_options(
    parser: argparse.ArgumentParser,
    config: type[Any],
    *,
    skip: Collection[str] = (),
    only: Collection[str] = (),
    prefix: str = "",
    metavars: Mapping[str, str] | None = None,
) -> None:
    """Declare one ``--option`` for each option of a configuration dataclass, with its default, choices and description.

    Those named in ``skip`` are left to the verb, and all but those in ``only`` where it names any. Options, not fields,
    begin with ``prefix``, and :func:`read_options` needs it as well. ``metavars`` says by name what stands for a value
    in the help; other than that it is the choices or the name itself. A pair of integers is a size, ``WxH``; a switch
    is off unless it is given. Choices and limits are checked by the dataclass, in one line, when :func:`read_options`
    makes it.
    """
    for spec in option_specs(config):
        if spec.name in skip or (only and spec.name not in only):
            continue
        flag = f"--{(prefix + spec.name).replace('_', '-')}"
        text = spec.info.description.replace("%", "%%")
        if spec.kind is bool:
            parser.add_argument(flag, action="store_true", default=argparse.SUPPRESS, help=text)
        elif spec.length == 2:
            shown = "{}x{}".format(*spec.default) if all(spec.default) else argparse.SUPPRESS
            parser.add_argument(flag, type=parse_size, default=shown, metavar="WxH", help=text)
        else:
            choices = "{" + ",".join(map(str, spec.info.choices)) + "}" if spec.info.choices else None
            metavar = (metavars or {}).get(spec.name, choices)
            unit = f" [{spec.info.unit}]" if spec.info.unit else ""
            parser.add_argument(flag, type=spec.kind, default=spec.default, metavar=metavar, help=text + unit)


def read_options(arguments: argparse.Namespace, config: type[Config], *, prefix: str = "", **others: Any) -> Config:
    """Return the configuration that was parsed, ``others`` being fields that :func:`add_options` has not declared.

    ``prefix`` is what the options' names begin with.

    What neither says keeps its default. Raises :class:`~hkdnet_ros.errors.ConfigError` for a value out of range.
    """
    names = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    parsed = vars(arguments)
    given = {name: parsed[prefix + name] for name in names if prefix + name in parsed}
    return config(**{**given, **others})
