"""Saved queries: KQL files with a name, a description and parameters.

Those that come with the package lie in `orchestrator/queries`, a project's own in its `queries`
folder; of two of the same name the project's counts. Parameters are declared as Kusto has it,
`declare query_parameters(job:string, since:timespan = 1d);`
(https://learn.microsoft.com/kusto/query/query-parameters-statement). Log Analytics does not know
that statement, so what is sent has `let` statements in its place, each with a literal of the
declared type: a value stays a value, whatever it holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from orchestrator.errors import BadInput, NotFound
from orchestrator.queries import kql
from orchestrator.queries.kql_words import Word, words
from orchestrator.records import Column, Records
from orchestrator.results import Record

SHIPPED = Path(__file__).parent
_SUFFIX = ".kql"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class Parameter(Record, frozen=True, kw_only=True):
    """A parameter of a saved query.

    `type`: one of Kusto's. `default`: as KQL; "" when the parameter must be given.
    """

    name: str
    type: str
    default: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.type}" + (f" = {self.default}" if self.default else "")


class SavedQuery(Record, frozen=True, kw_only=True):
    """A query in a file. `origin`: "shipped" or "project"."""

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    origin: str
    path: str
    text: str

    def kql(self, values: Mapping[str, Any] | None = None) -> str:
        """The query with these values for its parameters, as it is sent.

        Values: text as it is written for the type (`1d`, `2026-11-24`), or Python's own (timedelta,
        datetime, int, float, bool, list, dict). Raises BadInput for one that is needed and not
        given, that there is not, or that is not of its type.
        """
        return bound(self, values or {})


class SavedQueries(Records[SavedQuery]):
    """Saved queries by name."""

    noun = "saved queries"
    columns = (
        Column("name", "name"),
        Column("description", "description"),
        Column("parameters", "parameters", "text", lambda q: ", ".join(map(str, q.parameters))),
        Column("origin", "origin"),
    )


def find_all(folder: Path | None, broken: Callable[[BadInput], None] | None = None) -> SavedQueries:
    """All of them: those of the package and those of the project's folder, which count first.

    `broken`: told of a file that cannot be read or whose declaration is not right, which is left
    out then. Raises BadInput for it without.
    """
    found = {}
    for name, (path, origin) in _files(folder).items():
        try:
            found[name] = read(path, origin)
        except BadInput as error:
            if broken is None:
                raise
            broken(error)
    return SavedQueries(found[name] for name in sorted(found))


def names(folder: Path | None) -> list[str]:
    """Their names, in small letters; no file is read."""
    return sorted(_files(folder))


def _files(folder: Path | None) -> dict[str, tuple[Path, str]]:
    return {
        path.stem.lower(): (path, origin)
        for place, origin in ((SHIPPED, "shipped"), (folder, "project"))
        if place is not None and place.is_dir()
        for path in sorted(place.glob(f"*{_SUFFIX}"))
        if _NAME.fullmatch(path.stem)
    }


def find(name: str, folder: Path | None) -> SavedQuery:
    """One of them. Raises NotFound, BadInput."""
    wanted = name.lower().removesuffix(_SUFFIX)
    for place, origin in ((folder, "project"), (SHIPPED, "shipped")):
        if place is not None and place.is_dir():
            for path in place.glob(f"*{_SUFFIX}"):
                if path.stem.lower() == wanted:
                    return read(path, origin)
    near = get_close_matches(wanted, names(folder), 1)
    raise NotFound(
        f'There is no saved query "{name}".',
        f'Did you mean "{near[0]}"?' if near else "Those there are: orchestrator query --list",
    )


def read(path: Path, origin: str = "project") -> SavedQuery:
    """The saved query in a file. Raises BadInput."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadInput(f"{path} is no UTF-8 text.", "Save it as UTF-8.") from None
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror or error}.") from None
    comments = []
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        comments.append(line.removeprefix("//").strip())
    declared = declaration(text, str(path))
    return SavedQuery(
        name=path.stem,
        description=comments[0] if comments else "",
        parameters=tuple(declared.parameters) if declared else (),
        origin=origin,
        path=str(path),
        text=text,
    )


# ------------------------------------------------------------------------------- declarations


class Declaration:
    """`declare query_parameters(…);`: its parameters, and where it stands in the text."""

    def __init__(self, parameters: list[Parameter], start: int, end: int) -> None:
        self.parameters = parameters
        self.start = start
        self.end = end


def declaration(text: str, where: str = "The query") -> Declaration | None:
    """The declaration of a query's parameters; None when it has none. Raises BadInput."""
    found = list(words(text))
    if [w.text.lower() for w in found[:2]] != ["declare", "query_parameters"]:
        return None

    def wrong(at: Word | None, expected: str) -> BadInput:
        line = text[: at.start].count("\n") + 1 if at else text.count("\n") + 1
        seen = f'"{at.text}"' if at else "the end"
        return BadInput(
            f"{where}, line {line}: the parameters are not declared right: expected {expected}, "
            f"found {seen}.",
            "Such as: declare query_parameters(job:string, since:timespan = 1d);",
        )

    def at(index: int) -> Word | None:
        return found[index] if index < len(found) else None

    def take(index: int, mark: str) -> int:
        word = at(index)
        if word is None or word.text != mark:
            raise wrong(word, f'"{mark}"')
        return index + 1

    index = take(2, "(")
    parameters: list[Parameter] = []
    while (word := at(index)) is not None and word.text != ")":
        if word.kind != "name":
            raise wrong(word, "the name of a parameter")
        name = word.text
        index = take(index + 1, ":")
        kind = at(index)
        if kind is None or kind.text.lower() not in LITERALS:
            raise wrong(kind, f"one of the types {', '.join(LITERALS)}")
        index += 1
        default = ""
        if (sign := at(index)) is not None and sign.text == "=":
            begin = index + 1
            index = begin
            while (word := at(index)) is not None and not (
                (word.depth == 1 and word.text == ",") or (word.depth == 0 and word.text == ")")
            ):
                index += 1
            first, last = at(begin), at(index)
            if first is None or last is None or index == begin:
                raise wrong(last, "the default")
            default = text[first.start : last.start].strip()
        parameters.append(Parameter(name=name, type=kind.text.lower(), default=default))
        if (comma := at(index)) is not None and comma.text == ",":
            index += 1
        elif comma is None or comma.text != ")":
            raise wrong(comma, '"," or ")"')
    index = take(index, ")")
    end = at(index)
    if end is None or end.text != ";":
        raise wrong(end, '";"')
    return Declaration(parameters, found[0].start, end.start + 1)


def bound(query: SavedQuery, values: Mapping[str, Any]) -> str:
    """The query's text with its parameters bound; see `SavedQuery.kql`."""
    declared = declaration(query.text, query.path)
    parameters = declared.parameters if declared else []
    known = {parameter.name: parameter for parameter in parameters}
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, 1)
            has = ", ".join(map(str, parameters)) or "none"
            raise BadInput(
                f'{f"The query {query.name}".rstrip()} has no parameter "{name}".',
                f"Did you mean {near[0]}?"
                if near
                else f"It has: {has}."
                if parameters
                else "Leave --param out: it has none.",
            )
    if declared is None:
        return query.text
    lets = []
    for parameter in parameters:
        if parameter.name in values:
            value = literal(parameter, values[parameter.name])
        elif parameter.default:
            value = parameter.default
        else:
            raise BadInput(
                f"The query {query.name} needs the parameter {parameter.name} ({parameter.type}).",
                f"Give it: --param {parameter.name}=…",
            )
        lets.append(f"let {parameter.name} = {value};")
    # As many lines as before, so that an error's line is the file's.
    lines = query.text[declared.start : declared.end].count("\n")
    return query.text[: declared.start] + " ".join(lets) + "\n" * lines + query.text[declared.end :]


# ------------------------------------------------------------------------------- typed values


def literal(parameter: Parameter, value: Any) -> str:
    """A value as a KQL literal of the parameter's type. Raises BadInput."""
    make, example = LITERALS[parameter.type]
    try:
        return make(value)
    except ValueError:
        raise BadInput(
            f'"{value}" is not a {parameter.type} for the parameter {parameter.name}.',
            f"Such as {example}.",
        ) from None


def _matching(pattern: str, form: str = "{}") -> Callable[[Any], str]:
    expression = re.compile(pattern)

    def make(value: Any) -> str:
        text = str(value).strip()
        if isinstance(value, bool) or not expression.fullmatch(text):
            raise ValueError(text)
        return form.format(text)

    return make


def _bool(value: Any) -> str:
    text = str(value).strip().lower()
    if text not in ("true", "false"):
        raise ValueError(text)
    return text


def _datetime(value: Any) -> str:
    if isinstance(value, datetime):
        return kql.moment(value)
    from orchestrator.quantities import moment_or_distance

    text = str(value).strip()
    if not re.match(r"\d{4}-\d\d-\d\d", text):
        raise ValueError(text)
    found = moment_or_distance(text)
    assert isinstance(found, datetime)  # what begins with a date depends on no clock
    return kql.moment(found)


def _timespan(value: Any) -> str:
    from orchestrator.quantities import parse_duration

    text = str(value).strip()
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif re.fullmatch(r"-?(?:\d+\.)?\d\d?:\d\d(?::\d\d(?:\.\d{1,7})?)?", text):
        return f"time({text})"
    else:
        seconds = parse_duration(text).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    # Ticks of 100 ns, which every length is a whole number of.
    return f"{round(seconds * 10_000_000)}tick"


def _dynamic(value: Any) -> str:
    parsed = json.loads(value) if isinstance(value, str) else value
    return f"parse_json({kql.text(json.dumps(parsed))})"


_FRACTION = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)"


def _whole(bits: int) -> Callable[[Any], str]:
    most, form = 2 ** (bits - 1), "int({})" if bits == 32 else "long({})"

    def make(value: Any) -> str:
        text = str(value).strip()
        if isinstance(value, bool) or not re.fullmatch(r"[-+]?\d{1,19}", text):
            raise ValueError(text)
        if not -most <= int(text) < most:
            raise ValueError(text)
        return form.format(text)

    return make


LITERALS: dict[str, tuple[Callable[[Any], str], str]] = {
    "string": (lambda value: kql.text(str(value)), "any text"),
    "int": (_whole(32), "42"),
    "long": (_whole(64), "42"),
    "real": (_matching(rf"{_FRACTION}(?:[eE][-+]?\d+)?", "real({})"), "0.5"),
    "decimal": (_matching(_FRACTION, "decimal({})"), "0.5"),
    "bool": (_bool, "true or false"),
    "datetime": (_datetime, "2026-11-24 or 2026-11-24T20:00Z"),
    "timespan": (_timespan, "90s, 10m, 1d, or 1.02:30:00"),
    "guid": (
        _matching(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "guid({})"),
        "00000000-0000-0000-0000-000000000000",
    ),
    "dynamic": (_dynamic, '["a", "b"]'),
}
"""Kusto's scalar types: how a value of each is written, and an example."""
