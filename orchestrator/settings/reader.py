"""Reading a TOML tree along the settings' types, gathering problems instead of stopping at one."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

import msgspec

from orchestrator.errors import Problem

# A rule over a whole table: (reader, the table as written, its readable values, its key path).
TableRule: TypeAlias = Callable[["Reader", Mapping[str, Any], dict[str, Any], str], None]

# Words people know from elsewhere, and what they are called here.
_OTHER_WORDS = {
    "schedule": "cron",
    "cron_expression": "cron",
    "environment_variables": "env",
    "environment": "env",
    "replica_timeout": "timeout",
    "replica_retry_limit": "retries",
    "retry_limit": "retries",
    "max_retries": "retries",
    "completion_count": "completions",
    "replica_completion_count": "completions",
    "trigger_type": "trigger",
    "ttl": "time_to_live",
    "queue_name": "queue",
}


FAILED: Any = object()
_TYPE_NAMES: dict[Any, str] = {
    str: "text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


class Reader:
    """Walks the file along the types, and gathers problems instead of stopping at the first."""

    def __init__(
        self,
        name_rules: Mapping[str, Callable[[str], None]],
        table_rules: Mapping[type, TableRule],
    ) -> None:
        self.problems: list[Problem] = []
        self.name_rules = name_rules
        self.table_rules = table_rules
        self._told: set[type] = set()  # the tables whose keys a problem has listed already

    def problem(self, where: str, what: str, suggestion: str = "") -> None:
        self.problems.append(Problem(where, what if what.endswith(".") else f"{what}.", suggestion))

    # ---------------------------------------------------------------- values

    def value(self, kind: Any, value: Any, where: str) -> Any:
        """`value` as `kind`, or FAILED with the problem noted."""
        origin = get_origin(kind)
        if origin is Annotated:
            return self._ruled(kind, value, where)
        if origin in (typing.Union, types.UnionType):
            return self._union(get_args(kind), value, where)
        if origin is Literal:
            return self._choice([str(a) for a in get_args(kind)], value, where)
        if origin is dict:
            return self._mapping(get_args(kind)[1], value, where)
        if origin is tuple:
            return self._list(get_args(kind)[0], value, where)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(kind, value, where)
        try:
            return msgspec.convert(value, kind, strict=True)
        except msgspec.ValidationError:
            return self._wrong_type(_TYPE_NAMES[kind], value, where)

    def _ruled(self, kind: Any, value: Any, where: str) -> Any:
        base, rule = get_args(kind)
        if rule.written is str and isinstance(value, int | float) and not isinstance(value, bool):
            self.problem(where, f'{value} has no unit: write it as "{value}s" or "{value}m"')
            return FAILED
        read = self.value(rule.written or base, value, where)
        if read is FAILED:
            return read
        try:
            return rule.check(read)
        except ValueError as error:
            self.problem(where, str(error))
            return FAILED

    def _union(self, kinds: Sequence[Any], value: Any, where: str) -> Any:
        kinds = [kind for kind in kinds if kind is not type(None)]
        if len(kinds) == 1:
            return self.value(kinds[0], value, where)
        table = next(k for k in kinds if isinstance(k, type) and issubclass(k, msgspec.Struct))
        if isinstance(value, dict):
            return self.struct(table, value, where)
        if isinstance(value, str):
            return value
        written = str(value).lower() if isinstance(value, bool) else value
        if isinstance(value, bool | int | float):
            self.problem(where, f'values of variables are text: write "{written}" in quotes')
            return FAILED
        return self._wrong_type('text in quotes or { secret = "name" }', value, where)

    def _choice(self, allowed: Sequence[str], value: Any, where: str) -> Any:
        if value in allowed and isinstance(value, str):
            return value
        if not isinstance(value, str):
            return self._wrong_type(f"one of {listed(allowed)}", value, where)
        self.problem(
            where, f'"{value}" is not allowed: {listed(allowed)}', near(value.lower(), allowed)
        )
        return FAILED

    def _mapping(self, kind: Any, value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            return self._wrong_type("a table", value, where)
        read: dict[str, Any] = {}
        check_name = self.name_rules.get(where.rpartition(".")[2])
        for name, item in value.items():
            place = join(where, name)
            if check_name:
                try:
                    check_name(name)
                except ValueError as error:
                    self.problem(place, str(error))
            read[name] = self.value(kind, item, place)
        return read

    def _list(self, kind: Any, value: Any, where: str) -> Any:
        if not isinstance(value, list):
            return self._wrong_type("a list in [ ]", value, where)
        items = [self.value(kind, item, f"{where}[{i}]") for i, item in enumerate(value)]
        return FAILED if any(item is FAILED for item in items) else tuple(items)

    def _wrong_type(self, expected: str, value: Any, where: str) -> Any:
        self.problem(where, f"expected {expected}, found {_described(value)}")
        return FAILED

    # ---------------------------------------------------------------- tables

    def struct(self, kind: type[msgspec.Struct], value: Any, where: str) -> Any:
        if not isinstance(value, dict):
            first = msgspec.structs.fields(kind)[0].name
            return self._wrong_type(f"a table, such as {{ {first} = … }}", value, where)
        before = len(self.problems)
        values = self.table(kind, value, where)
        if extra := self.table_rules.get(kind):
            extra(self, value, values, where)
        return FAILED if len(self.problems) > before else kind(**values)

    def table(
        self,
        kind: type[msgspec.Struct],
        data: Mapping[str, Any],
        where: str,
        hidden: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The fields that could be read; unknown, missing and wrong ones are noted."""
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = [f for f in msgspec.structs.fields(kind) if f.name not in hidden]
        names = [f.name for f in fields]
        for key in data:
            if key not in names:
                other = _OTHER_WORDS.get(key, "")
                meant = other if other in names else near(key, names)
                known = "" if meant else self._keys_once(kind, names)
                self.problem(join(where, key), f'there is no key "{key}"{known}', meant)
        values = {}
        for field in fields:
            if field.name in data:
                read = self.value(hints[field.name], data[field.name], join(where, field.name))
                if read is not FAILED:
                    values[field.name] = read
            elif field.required:
                self.problem(join(where, field.name), "it is missing")
        return values

    def _keys_once(self, kind: type, names: Sequence[str]) -> str:
        """The keys of a table, for its first unknown key only: a wall of them hides the rest."""
        if kind in self._told:
            return ""
        self._told.add(kind)
        return f"; the keys here are {', '.join(names)}"


def join(where: str, name: str) -> str:
    key = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'
    return f"{where}.{key}" if where else key


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + (" or " if len(names) > 1 else "") + (names[-1] if names else "")


def near(word: str, words: Sequence[str]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, words, 1)), "")


def _described(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{value}"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return str(value)
