"""Writes the parameter file and the parameter reference from the schema.

After a change of the schema, ``python -m hkdnet_ros.node.parameter_file > config/fusion.yaml`` and
``python -m hkdnet_ros.node.parameter_file --markdown > docs/parameters.md``; tests compare both.
"""

from __future__ import annotations

import json
import sys
import textwrap
from typing import Any

from .schema import PARAMETERS, SPECS

_HEAD = """\
# Every parameter of the fusion node, with its default. Pass a copy with what you change:
#   ros2 launch hkdnet_ros fusion.launch.py params_file:=my.yaml
# Those marked (live) may be set at any time. The others are fixed while the node is configured: deactivate and clean it
# up, set them, configure and activate it.
# Written from the program's own schema by `python -m hkdnet_ros.node.parameter_file`.
/**:
  ros__parameters:
"""


def parameter_file() -> str:
    """Return the text of config/fusion.yaml."""
    lines = [_HEAD.rstrip()]
    group = ""
    for spec in sorted(SPECS, key=lambda spec: "." in spec.name):  # a stable sort: groups follow single parameters
        prefix, _, name = spec.name.rpartition(".")
        indent = " " * (6 if prefix else 4)
        if prefix != group:
            lines.append(f"\n    {prefix}:")
            group = prefix
        comment = spec.info.description + (f" ({spec.limits})" if spec.limits else "")
        comment += " (live)" if spec.info.live else ""
        lines += textwrap.wrap(comment, 110, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        lines.append(f"{indent}{name}: {_yaml(spec.default)}")
    return "\n".join(lines) + "\n"


_REFERENCE = """\
# Parameters of the fusion node

Written from the program's own schema by `python -m hkdnet_ros.node.parameter_file --markdown`; `config/fusion.yaml` has
the same as a file to copy.

- A *live* parameter may be set at any time and holds from the next image on. A *fixed* one cannot change while the node
  is configured: deactivate and clean it up, set it, configure and activate it.
- What is set together (`set_parameters_atomically`) is checked as a whole: a set that is refused changes nothing and
  says why. An integer will do where a number is meant.
- A wrong value, or a name that is no parameter, does not keep the node from starting: *configure* fails and says which.
- `qos_overrides./TOPIC.subscription.*` and `.publisher.*` fix the quality of service, as in every ROS 2 node; they are
  read at the start. `reliability` and `durability` of a camera's topics are `best_available` by default: as published.

"""


def parameter_reference() -> str:
    """Return the text of docs/parameters.md: for each section a table of name, default, limits, changes, meaning."""
    return _REFERENCE + "\n".join(_table(section) for section in PARAMETERS.sections)


def _table(section: str) -> str:
    """Return what the section is about, which its dataclass says, and the table of its parameters."""
    summary = (PARAMETERS.sections[section].__doc__ or "").partition("\n")[0]
    lines = [f"## {section.capitalize()}", "", summary, ""]
    lines += ["| parameter | default | unit, range | | meaning |", "| --- | --- | --- | --- | --- |"]
    for spec in SPECS:
        if spec.section == section:
            limits, changes = spec.limits or "-", "live" if spec.info.live else "fixed"
            lines.append(
                f"| `{spec.name}` | `{_yaml(spec.default)}` | {limits} | {changes} | {spec.info.description} |"
            )
    return "\n".join(lines) + "\n"


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")  # YAML 1.1 takes 1e9 for a text
    return json.dumps(value)


if __name__ == "__main__":
    print(parameter_reference() if "--markdown" in sys.argv[1:] else parameter_file(), end="")
