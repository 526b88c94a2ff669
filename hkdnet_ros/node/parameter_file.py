"""Writes the parameter file and the README's table of parameters from the schema.

After a change of the schema, ``python -m hkdnet_ros.node.parameter_file > config/fusion.yaml`` and
``python -m hkdnet_ros.node.parameter_file --markdown`` for the table; tests compare both.
"""

from __future__ import annotations

import json
import sys
import textwrap
from typing import Any

from .schema import SPECS

_HEAD = """\
# Every parameter of the fusion node, with its default. Pass a copy with what you change:
#   ros2 launch hkdnet_ros fusion.launch.py params_file:=my.yaml
# They are fixed while the node is configured: deactivate and clean it up, set them, configure and activate it.
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
        lines += textwrap.wrap(comment, 110, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")
        lines.append(f"{indent}{name}: {_yaml(spec.default)}")
    return "\n".join(lines) + "\n"


def parameter_table() -> str:
    """Return the parameters as a Markdown table: name, default, unit and range, meaning."""
    rows = ["| parameter | default | unit, range | meaning |", "| --- | --- | --- | --- |"]
    for spec in SPECS:
        rows.append(f"| `{spec.name}` | `{_yaml(spec.default)}` | {spec.limits or '-'} | {spec.info.description} |")
    return "\n".join(rows) + "\n"


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text else text.replace("e", ".0e")  # YAML 1.1 takes 1e9 for a text
    return json.dumps(value)


if __name__ == "__main__":
    print(parameter_table() if "--markdown" in sys.argv[1:] else parameter_file(), end="")
