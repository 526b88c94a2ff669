"""The documentation: links lead somewhere, every page is in the index, and what it tells people to type exists."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from hkdnet_ros import cli

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        CHECKOUT / "README.md",
        CHECKOUT / "CONTRIBUTING.md",
        *(CHECKOUT / "docs").rglob("*.md"),
        *(CHECKOUT / "hkdnet_ros" / "weights").glob("*.md"),
    ]
)
INDEX = CHECKOUT / "docs" / "README.md"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))

HKDNET = re.compile(r"(?:ros2 run hkdnet_ros |\.venv/bin/)?hkdnet (?P<words>.*)")
"""A command line of ``hkdnet``, from its verb on."""


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```$|^    .*?$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[str]:
    """Return where the links and pictures of a page point to, but for those into the web."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in target]


@functools.cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> Iterator[str]:
    """Yield the command lines of a page's indented blocks, continued lines joined and comments left out."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE).replace("\\\n", " ")
    for line in re.findall(r"^(?: {4}|\t)(\S.*)$", text, re.MULTILINE):
        yield re.sub(r"\s+#.*$| \.\.\.$", "", line)


@functools.cache
def help_of(*words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        cli.main([*words, "--help"])
    return out.getvalue()


@every_page
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(file), f"{target}: no such heading"


def test_every_page_of_the_documentation_is_in_the_index() -> None:
    linked = {(INDEX.parent / target.partition("#")[0]).resolve() for target in links(INDEX)}
    assert not {page for page in (CHECKOUT / "docs").rglob("*.md") if page != INDEX} - linked


@every_page
def test_make_commands_name_targets_that_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    for command in commands(page):
        if command.startswith("make "):
            assert {word for word in command.split()[1:] if "=" not in word} <= targets, command


@every_page
def test_hkdnet_commands_name_verbs_and_options_that_exist(page: Path) -> None:
    for command in commands(page):
        match = HKDNET.match(command)
        if match is None or match["words"] == "--help":
            continue
        words = shlex.split(match["words"])
        assert words[0] in cli.VERBS, command
        known = set(re.findall(r"--[a-z][a-z-]*", help_of(*words[: 2 if words[0] == "evaluate" else 1])))
        assert {word for word in words if word.startswith("--")} <= known, command


@every_page
def test_launch_commands_name_files_and_arguments_that_exist(page: Path) -> None:
    declared = {
        path.name: set(re.findall(r'DeclareLaunchArgument\(\s*"(\w+)"', path.read_text()))
        for path in (CHECKOUT / "launch").glob("*.launch.py")
    }
    for command in commands(page):
        if match := re.match(r"ros2 launch hkdnet_ros (\S+)", command):
            assert match[1] in declared, command
            given = set(re.findall(r"(\w+):=", command))
            assert given <= declared[match[1]] | declared["fusion.launch.py"], command


@every_page
def test_python_blocks_import_what_exists(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert not [alias.name for alias in node.names if not hasattr(module, alias.name)], block


@every_page
def test_files_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`((?:hkdnet_ros|test|launch|config|examples|scripts)/[a-z0-9_./]*)`", prose(page)):
        assert (CHECKOUT / name).exists(), name


def test_the_architecture_names_files_that_exist() -> None:
    files = [str(path.relative_to(CHECKOUT)) for path in CHECKOUT.joinpath("hkdnet_ros").rglob("*.py")]
    files += [str(path.relative_to(CHECKOUT)) for path in CHECKOUT.joinpath("test").rglob("*.py")]
    for name in re.findall(r"(?<![\w/])[a-z_/]+\.py\b", (CHECKOUT / "docs" / "architecture.md").read_text()):
        assert any(f"/{file}".endswith(f"/{name}") for file in files), name


@every_page
def test_python_names_are_in_their_modules(page: Path) -> None:
    for name in re.findall(r"`(hkdnet_ros(?:\.\w+)+)`", prose(page)):
        module, _, last = name.rpartition(".")
        path = CHECKOUT.joinpath(*module.split(".")).with_suffix(".py")
        assert path.is_file() or CHECKOUT.joinpath(*name.split(".")).with_suffix(".py").is_file(), name
        assert not path.is_file() or re.search(rf"\b{last}\b", path.read_text()), name
