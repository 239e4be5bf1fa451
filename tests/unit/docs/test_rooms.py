"""docs/architecture.md says which room may know which: here the imports are held against it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "orchestrator"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

CLOUD = "orchestrator.localcloud"

# What talks, listens, waits or reads the time. A room "without I/O" has none of it.
IO = {
    *("aiohttp", "asyncio", "http", "multiprocessing", "os", "pathlib", "queue", "requests"),
    *("selectors", "shutil", "socket", "sqlite3", "ssl", "subprocess", "threading", "time"),
}


class Import(NamedTuple):
    """`target`: the module that is imported. late: only when a function runs, or for types."""

    source: str
    target: str
    late: bool


def name_of(path: Path) -> str:
    """A file of the package as a module's name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def modules() -> dict[str, Path]:
    return {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports() -> tuple[Import, ...]:
    """Every import of every module of the package."""
    return tuple(
        Import(name, target, late)
        for name, path in modules().items()
        for target, late in _imports(name, path)
    )


def _imports(name: str, path: Path) -> Iterator[tuple[str, bool]]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]

    def walk(node: ast.AST, late: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield (inner if inner in modules() else base), late
        for child in ast.iter_child_nodes(node):
            yield from walk(child, late or _runs_later(node, child))

    return walk(tree_of(path), False)


def _runs_later(node: ast.AST, child: ast.AST) -> bool:
    """Whether a part of a statement does not run when the module is imported."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return True
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
        and child in node.body
    )


def within(name: str, *rooms: str) -> bool:
    """Whether a module is one of these, or in one of these packages."""
    return any(name == room or name.startswith(f"{room}.") for room in rooms)


def broken(source: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Imports from some rooms to modules of the package that are neither there nor allowed."""
    source, allowed = tuple(source), tuple(allowed)
    return [
        f"{one.source} imports {one.target}"
        for one in imports()
        if within(one.source, *source)
        and within(one.target, "orchestrator")
        and not within(one.target, *source, *allowed)
    ]


def eager() -> dict[str, set[str]]:
    """What each module imports when it is imported itself."""
    graph: dict[str, set[str]] = {}
    for one in imports():
        if not one.late:
            graph.setdefault(one.source, set()).add(one.target)
    return graph


def reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """All that can be reached from somewhere."""
    seen: set[str] = set()
    new = set(graph.get(start, ()))
    while new:
        seen |= new
        new = {there for here in new for there in graph.get(here, ())} - seen
    return seen


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """What reaches itself: nodes that are in a circle, grouped by the circle."""

    reach = {name: reached(graph, name) for name in graph}
    groups = {
        tuple(sorted(other for other in reach[name] if name in reach.get(other, ())))
        for name in graph
        if name in reach[name]
    }
    return [list(group) for group in sorted(groups)]


def room_of(name: str) -> str:
    """The room of a module: a package of either house, or the module itself where it has none."""
    return ".".join(name.split(".")[: 3 if within(name, CLOUD) else 2])


def test_the_imports_are_seen() -> None:
    # Without this the tests below could pass by looking at nothing.
    seen = set(imports())
    assert Import("orchestrator.local_server", f"{CLOUD}.process", late=True) in seen
    assert Import(f"{CLOUD}.amqp.session", f"{CLOUD}.amqp.link", late=False) in seen
    assert Import(f"{CLOUD}.server", "asyncio", late=False) in seen


def test_the_control_plane_reaches_the_local_cloud_by_its_few_doors() -> None:
    doors = ("orchestrator.local_server", "orchestrator.cli", "orchestrator.testing", CLOUD)
    found = [
        one for one in imports() if within(one.target, CLOUD) and not within(one.source, *doors)
    ]
    assert found == []


def test_the_command_imports_the_local_cloud_only_when_it_is_asked_for() -> None:
    # `testing.host` is the process that is the local cloud; nothing imports it but that process.
    found = [
        one
        for one in imports()
        if within(one.target, CLOUD)
        and not one.late
        and not within(one.source, CLOUD, "orchestrator.testing.host")
    ]
    assert found == []


def test_the_local_cloud_never_imports_the_control_plane() -> None:
    shared = (
        *("az_configuration", "clock", "azure_types", "azure_values"),
        *("container_engine", "image_names"),
    )
    assert broken([CLOUD], [f"orchestrator.{name}" for name in shared]) == []


def test_the_library_knows_neither_the_command_nor_how_things_are_displayed() -> None:
    outer = ("orchestrator.cli", "orchestrator.display", "orchestrator.testing")
    # `python -m orchestrator` is the command; in a notebook the library displays.
    known = {("orchestrator.__main__", "orchestrator.cli")}
    known.add(("orchestrator.notebook", "orchestrator.display.progress"))
    found = {
        (one.source, one.target)
        for one in imports()
        if within(one.target, *outer) and not within(one.source, *outer)
    }
    assert found == known


@pytest.mark.parametrize(
    ("rooms", "allowed"),
    [
        (["amqp"], []),
        (["templates"], ["arm.errors", "arm.ids"]),
        (["arm"], ["databases", "identity", "state"]),
        (["logs"], []),
        (["durations", "xml_text"], []),
        (["servicebus"], ["amqp", "durations", "identity"]),
        (["runtime"], ["logs.model", "config", "databases", "state", "umask"]),
        (["downloads"], []),
        (["scripts"], ["downloads", "durations", "runtime"]),
        (["deployments"], ["arm", "templates", "downloads", "durations", "providers"]),
    ],
    ids=lambda names: ",".join(names),
)
def test_a_room_of_the_local_cloud_knows_only(rooms: list[str], allowed: list[str]) -> None:
    both = ("az_configuration", "azure_values", "clock", "container_engine", "image_names")
    shared = [f"orchestrator.{name}" for name in both]
    assert (
        broken([f"{CLOUD}.{name}" for name in rooms], shared + [f"{CLOUD}.{n}" for n in allowed])
        == []
    )


@pytest.mark.parametrize("room", ["amqp", "templates", "servicebus.topics.sql"])
def test_a_room_without_io_has_none(room: str) -> None:
    found = [
        one
        for one in imports()
        if within(one.source, f"{CLOUD}.{room}")
        and (one.target.split(".")[0] in IO or one.target == "orchestrator.clock")
    ]
    assert found == []


def test_the_queue_engine_knows_no_protocol() -> None:
    # The broker is given an encoding of messages; AMQP's is imported where nobody gives it one.
    seen = reached(eager(), f"{CLOUD}.servicebus.broker")
    assert f"{CLOUD}.servicebus.queue" in seen
    assert [name for name in seen if within(name, f"{CLOUD}.amqp", "aiohttp", "ssl")] == []


def test_the_queue_engine_knows_nothing_of_its_front() -> None:
    bus = f"{CLOUD}.servicebus"
    found = {
        (one.source, one.target, one.late)
        for one in imports()
        if within(one.source, bus)
        and not within(one.source, f"{bus}.front")
        and within(one.target, f"{bus}.front")
    }
    assert found == {(f"{bus}.broker", f"{bus}.front.content", True)}


def _asks_the_machine(path: Path) -> bool:
    """Whether a module asks the machine what time it is (not: how long something takes)."""
    wall = {"time.time", "_time.time", "time.time_ns", "datetime.now", "datetime.utcnow"}
    return any(
        isinstance(node, ast.Call) and ast.unparse(node.func) in wall
        for node in ast.walk(tree_of(path))
    )


def test_who_needs_the_time_is_given_a_clock() -> None:
    asking = {name for name, path in modules().items() if _asks_the_machine(path)}
    given = {
        "orchestrator.clock",
        "orchestrator.waiting",
        "orchestrator.azure.identity",  # when a real token is old, whatever the clock says
        "orchestrator.queries.parts",  # where the service does not tell its own
        "orchestrator.cli.known_names",  # the age of a file
        f"{CLOUD}.process",  # the age of a process
    }
    assert asking == given


def test_what_both_houses_compute_needs_neither_of_them_nor_the_machine() -> None:
    room = "orchestrator.azure_values"
    reached = {one.target for one in imports() if within(one.source, room)}
    assert {target for target in reached if within(target, "orchestrator")} <= {
        room, f"{room}.hashes", f"{room}.ranges"
    }  # fmt: skip
    assert not {target.partition(".")[0] for target in reached} & IO


def test_bicep_is_compiled_without_the_rest_of_the_library() -> None:
    allowed = ["errors", "azure_types", "azure_values", "__version__"]
    found = broken(["orchestrator.bicep"], [f"orchestrator.{name}" for name in allowed])
    assert [one for one in found if not one.endswith(" imports orchestrator")] == []


def test_payloads_know_only_each_other_and_the_sdks() -> None:
    for path in (ROOT / "jobs").glob("*.py"):
        for target, _late in _imports(f"jobs.{path.stem}", path):
            assert not within(target, "orchestrator"), path


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circles(eager()) == []


def test_no_room_imports_itself_by_way_of_others() -> None:
    graph: dict[str, set[str]] = {}
    for source, targets in eager().items():
        graph.setdefault(room_of(source), set()).update(map(room_of, targets))
    assert circles({room: targets - {room} for room, targets in graph.items()}) == []


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}) == [["b", "c"], ["d"]]


def drawn() -> list[str]:
    """Files and folders that the page's drawing of the rooms names, as globs below the package.

    A folder's contents are indented by two more than it is.
    """
    block = re.search(r"## Rooms\n\n```\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    found: list[str] = []
    above: dict[int, str] = {}
    for line in block[1].splitlines():
        indent = len(line) - len(line.lstrip())
        for name in line.strip().split("  ")[0].split():
            if re.fullmatch(r"[\w*/]+(?:\.py|/)", name):
                parents = [above[depth] for depth in sorted(above) if depth < indent]
                found.append("".join([*parents, name]))
                if name.endswith("/"):
                    above = {d: n for d, n in above.items() if d < indent} | {indent: name}
    return [name.removeprefix("orchestrator/") for name in found if name[:5] == "orche"]


def test_the_page_draws_every_room_and_none_that_is_gone() -> None:
    names = [name for name in drawn() if name]
    assert len(names) > 60
    for name in names:
        assert list(PACKAGE.glob(name.rstrip("/"))), f"{name} is drawn and is not there"
    there = {path for name in names for path in PACKAGE.glob(name.rstrip("/"))}
    for folder in (PACKAGE, PACKAGE / "localcloud"):
        for path in folder.iterdir():
            is_room = path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))
            if is_room and not path.name.startswith("__"):
                assert path in there, f"{path.relative_to(ROOT)} is in no drawing"


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_a_package_says_what_is_in_it_and_names_no_file_that_is_gone(path: Path) -> None:
    text = ast.get_docstring(tree_of(path)) or ""
    assert text
    prose = "\n".join(line for line in text.splitlines() if "/job" not in line)
    for name in re.findall(r"(?<![\w/])[\w*]+\.py\b", prose):
        if name != "greet.py":  # the payload of an example
            assert list(path.parent.glob(name)), f"{name} is named and is not there"
