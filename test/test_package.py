"""The package as a whole: the layers of its code, and the facts that several of its files must agree on."""

from __future__ import annotations

import ast
import datetime
import importlib.util
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

import hkdnet_ros

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGE = CHECKOUT / "hkdnet_ros"
MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((CHECKOUT / "test").rglob("*.py"))

# What users import from: it names what is in any layer.
FACE = PACKAGE / "__init__.py"

# From the top down; a module imports its own layer and those below. What is in no layer is below all of them, but for
# the face, which is above.
LAYERS = [
    "commands", "trials", "replay", "node", "evaluation", "calibration", "training", "sources", "simulator",
    "perception", "inference", "geometry", "images", "metrics", "network",
]  # fmt: skip

# Those that may import ROS.
ROS_LAYERS = {"commands", "trials", "replay", "node"}

# ROS packages are recognised by these and by the `_msgs` or `_interfaces` of their names; rosbags is not one of them.
ROS_PACKAGES = {
    "ament_index_python", "bondpy", "cv_bridge", "image_transport_py", "launch", "launch_ros", "launch_testing",
    "launch_testing_ros", "message_filters", "rclpy", "ros2bag", "ros2cli", "rosbag2_py", "rosidl_runtime_py",
    "rpyutils", "tf2_ros",
}  # fmt: skip

# Imported only by what needs them, which says so, or is skipped, where they are missing.
OPTIONAL_PACKAGES = {"onnx", "onnxruntime", "onnxscript", "openvino", "playwright", "pyarrow", "ray"}

# Used where NVIDIA's system has it, and never installed by us.
SYSTEM_PACKAGES = {"tensorrt"}

# Brought by a package that is required, for the formats that it reads itself: rosbags.
BROUGHT_PACKAGES = {"backports", "compression", "lz4", "ruamel"}

# What a package is called where it is not by the name of its module: by pip, and by rosdep behind `python3-`.
DISTRIBUTIONS = {"cv2": "opencv-python-headless", "PIL": "pillow", "skimage": "scikit-image", "yaml": "PyYAML"}
ROSDEP_KEYS = {"cv2": "opencv", "PIL": "pil", "torch": "pytorch"}


def imports(path: Path) -> Iterator[str]:
    """Yield the absolute name of all that the file at ``path`` imports anywhere, submodules imported by name too."""
    inside = path.relative_to(CHECKOUT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(inside[: -node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def layer_of(module: str) -> str | None:
    """Return the layer that an absolute module name lies in, None for one in no layer."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "hkdnet_ros" and parts[1] in LAYERS else None


def is_ros(module: str) -> bool:
    """Tell whether a module comes with ROS, this package's own messages included."""
    root = module.split(".")[0]
    return root in ROS_PACKAGES or root.endswith(("_msgs", "_interfaces")) or f"{module}.".startswith("hkdnet_ros.msg.")


def call_of_setup() -> dict[str, ast.expr]:
    """Return the keyword arguments of setup.py's call."""
    for node in ast.walk(ast.parse((CHECKOUT / "setup.py").read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "setup":
            return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    raise AssertionError("setup.py calls no setup()")


def manifest() -> ElementTree.Element:
    """Return the root of package.xml."""
    return ElementTree.parse(CHECKOUT / "package.xml").getroot()


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path != FACE], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_go_to_the_same_layer_or_below(path: Path) -> None:
    own = layer_of(".".join(path.relative_to(CHECKOUT).with_suffix("").parts))
    rank = LAYERS.index(own) if own else len(LAYERS)
    upward = [name for name in imports(path) if (layer := layer_of(name)) and LAYERS.index(layer) < rank]
    assert not upward, f"{path.relative_to(CHECKOUT)} is below {', '.join(upward)}"


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.relative_to(PACKAGE).parts[0] not in ROS_LAYERS],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_only_the_upper_layers_import_ros(path: Path) -> None:
    assert not [name for name in imports(path) if is_ros(name)]


def test_what_differs_between_distributions_of_ros_is_in_one_file() -> None:
    files = [*MODULES, *(CHECKOUT / "launch").glob("*.py")]
    asking = {path.name for path in files if re.search(r"ROS_DISTRO|ROS_LOCALHOST_ONLY", path.read_text())}
    assert asking == {"distributions.py"}


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if path.parent.name != "commands" and path.name not in ("cli.py", "arguments.py")],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_only_commands_know_argparse(path: Path) -> None:
    assert "argparse" not in set(imports(path))


def test_every_folder_of_code_is_a_layer() -> None:
    assert sorted({path.relative_to(PACKAGE).parts[0] for path in MODULES if path.parent != PACKAGE}) == sorted(LAYERS)


def test_the_import_rule_sees_relative_imports_and_nested_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "CHECKOUT", tmp_path)
    path = tmp_path / "hkdnet_ros" / "network" / "example.py"
    path.parent.mkdir(parents=True)
    path.write_text("def f():\n    from ..node import fusion_node\n    from .. import msg\n    import rclpy.node\n")
    found = set(imports(path))
    assert {"hkdnet_ros.node.fusion_node", "hkdnet_ros.msg", "rclpy.node"} <= found
    assert {layer_of(name) for name in found} == {"node", None}
    assert {name for name in found if is_ros(name)} == {"hkdnet_ros.msg", "rclpy.node"}


def test_setup_py_and_cmake_install_the_same_entry_points() -> None:
    points = ast.literal_eval(call_of_setup()["entry_points"])["console_scripts"]
    block = re.search(r"set\(entry_points\n(.*?)\n\)", (CHECKOUT / "CMakeLists.txt").read_text(), re.DOTALL)
    assert block is not None
    assert re.findall(r'"(.+)"', block[1]) == points


def test_every_entry_point_names_a_function() -> None:
    for point in ast.literal_eval(call_of_setup()["entry_points"])["console_scripts"]:
        module, function = point.split(" = ")[1].split(":")
        path = CHECKOUT.joinpath(*module.split(".")).with_suffix(".py")
        assert path.is_file(), f"{point}: no {path.relative_to(CHECKOUT)}"
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        assert function in names, f"{point}: no function {function}"


def test_all_files_name_the_same_version() -> None:
    version = manifest().findtext("version")
    assert ast.literal_eval(call_of_setup()["version"]) == version
    assert hkdnet_ros.__version__ == version
    assert f"\nversion: {version}\n" in (CHECKOUT / "CITATION.cff").read_text()


def test_the_changelog_begins_with_this_version_in_the_form_of_rep_132() -> None:
    lines = (CHECKOUT / "CHANGELOG.rst").read_text().splitlines()
    entries = [
        (line, below) for line, below in itertools.pairwise(lines) if re.fullmatch(r"\d+\.\d+\.\d+ \(.*\)", line)
    ]
    assert [below for _, below in entries] == ["-" * len(line) for line, _ in entries]
    versions, dates = zip(*(line.rstrip(")").split(" (") for line, _ in entries), strict=True)
    assert versions[0] == hkdnet_ros.__version__
    assert [datetime.date.fromisoformat(date) for date in dates] == sorted(map(datetime.date.fromisoformat, dates))[
        ::-1
    ]


def test_all_files_name_the_same_licence() -> None:
    assert manifest().findtext("license") == ast.literal_eval(call_of_setup()["license"]) == "Apache-2.0"
    assert "Apache License" in (CHECKOUT / "LICENSE").read_text()


def test_the_source_holds_no_folder_of_messages() -> None:
    # It would hide the generated one.
    assert not (PACKAGE / "msg").exists()


def test_the_built_message_has_the_fields_of_its_file() -> None:
    messages = pytest.importorskip("hkdnet_ros.msg", reason="the messages are not built; run `make setup`")
    lines = [line.split("#")[0].split() for line in (CHECKOUT / "msg" / "FusionStatus.msg").read_text().splitlines()]
    assert list(messages.FusionStatus.get_fields_and_field_types()) == [line[1] for line in lines if line]


def test_package_xml_declares_every_ros_package_that_is_imported() -> None:
    files = [*(PACKAGE / "node").rglob("*.py"), *(CHECKOUT / "launch").glob("*.py")]
    imported = {name.split(".")[0] for path in files for name in imports(path) if is_ros(name)} - {"hkdnet_ros"}
    declared = {element.text for element in manifest() if element.tag in ("depend", "exec_depend")}
    assert imported <= declared


def third_party(paths: list[Path]) -> set[str]:
    """Return the Python packages that files import, but for ROS's, optional ones and what lies beside the files."""
    roots = {name.split(".")[0] for path in paths for name in imports(path) if not is_ros(name)}
    ours = {"__future__", "hkdnet_ros", *(path.stem for path in paths)}
    return roots - sys.stdlib_module_names - OPTIONAL_PACKAGES - SYSTEM_PACKAGES - BROUGHT_PACKAGES - ours


def declared(*tags: str) -> set[str]:
    """Return what package.xml names with one of ``tags``."""
    return {element.text or "" for element in manifest() if element.tag in tags}


def listed(file: str) -> dict[str, set[str]]:
    """Return the names of the packages in a file of requirements, by the comment above them."""
    blocks: dict[str, set[str]] = {}
    for block in (CHECKOUT / "requirements" / file).read_text().split("\n\n"):
        lines = block.splitlines()
        comments = [line for line in lines if line.startswith("#")]
        names = {re.split(r"[<>=;\[ ]", line)[0] for line in lines if line and not line.startswith("#")}
        blocks["\n".join(comments).removeprefix("# ")] = names
    return blocks


def pins(distribution: str) -> dict[str, str]:
    """Return the pinned packages for the wheels of a distribution: by name, the version and where it holds."""
    lines = (CHECKOUT / "requirements" / f"{distribution}.txt").read_text().splitlines()
    found: dict[str, str] = {}
    for line in lines:
        name, pinned, version = line.partition("==")
        if pinned:
            found[name] = found.get(name, "") + version + "\n"
    return found


def test_setup_py_requires_the_packages_that_are_imported_and_no_other() -> None:
    required = {re.split(r"[<>=]", text)[0] for text in ast.literal_eval(call_of_setup()["install_requires"])}
    assert required == {DISTRIBUTIONS.get(name, name) for name in third_party(MODULES)}


def test_package_xml_requires_the_packages_that_are_imported_and_no_other() -> None:
    of_package, of_tests = third_party(MODULES), third_party(TESTS)

    def keys(names: set[str]) -> set[str]:
        return {f"python3-{ROSDEP_KEYS.get(name, name)}" for name in names}

    found = {name.removesuffix("-pip") for name in declared("exec_depend") if name.startswith("python3-")}
    assert found == keys(of_package - {"safetensors"})  # which has no key
    found = {name for name in declared("test_depend") if name.startswith("python3-")}
    assert found == keys(of_tests - of_package)


def test_package_xml_requires_no_ros_package_that_nothing_imports() -> None:
    files = [*MODULES, *TESTS, *(CHECKOUT / "launch").glob("*.py")]
    used = {name.split(".")[0] for path in files for name in imports(path) if is_ros(name)}
    used |= {"ros2launch", "rosidl_default_runtime", "ament_cmake_pytest"}  # `ros2 launch`, the messages, colcon test
    named = declared("depend", "exec_depend", "test_depend")
    assert {name for name in named if not name.startswith("python3-")} <= used
    assert used - {"hkdnet_ros"} - {"launch_testing"} <= named


def test_the_lists_of_requirements_name_what_is_imported_and_no_other() -> None:
    of_package = {DISTRIBUTIONS.get(name, name) for name in third_party(MODULES)} - {"torch"}  # chosen by the machine
    of_tests = {DISTRIBUTIONS.get(name, name) for name in third_party(TESTS)} - of_package - {"torch"}
    wheels = listed("wheels.in")
    assert wheels["The package itself"] == of_package
    assert wheels["Checks and tests"] == of_tests | OPTIONAL_PACKAGES | {"mypy", "pytest-xdist", "ruff"}
    (robot, tests) = listed("robot.txt").values()
    assert robot == of_package - {"opencv-python-headless", "PyYAML"}  # ROS brings its own
    assert tests == of_tests


def test_the_wheels_of_both_distributions_come_with_the_same_packages_beside_them() -> None:
    kilted, jazzy = (
        {name: version for name, version in pins(distribution).items() if not name.startswith("ros-")}
        for distribution in ("kilted", "jazzy")
    )
    assert kilted == jazzy
    assert pins("kilted")["ros-rclpy"] != pins("jazzy")["ros-rclpy"]


def test_every_declared_package_is_pinned_and_at_hand() -> None:
    pinned = {name.lower() for name in pins("kilted")}
    for text in ast.literal_eval(call_of_setup()["install_requires"]):
        name = re.split(r"[<>=]", text)[0]
        assert name.lower() in pinned | {"torch"}  # its build depends on the machine
        module = {distribution: root for root, distribution in DISTRIBUTIONS.items()}.get(name, name)
        assert importlib.util.find_spec(module) is not None
