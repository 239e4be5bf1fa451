"""KQL to SQL, with what the SQL needs to be run, and refusals in Kusto's words.

Translation takes some milliseconds and holds Python's lock, so the last ones are kept by text.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any

import duckdb
from duckdb_kql import ir
from duckdb_kql.errors import KqlError, KqlSchemaError, KqlSyntaxError, KqlUnsupportedError
from duckdb_kql.lower import lower
from duckdb_kql.params import bind
from duckdb_kql.translate import CLOCK_SLOT, TranslationResult, clock, to_sql
from duckdb_kql.translate.functions import AGGREGATE_FUNCTIONS, SCALAR_FUNCTIONS

from orchestrator.localcloud.logs.errors import QueryError, semantic_error
from orchestrator.localcloud.logs.kql import (
    calls,
    functions,
    index,
    nodes,
    semantics,
    syntax,
    windows,
)
from orchestrator.localcloud.logs.kql import text as kql_text
from orchestrator.localcloud.logs.kql.semantics import Columns
from orchestrator.localcloud.logs.sql_messages import in_words

functions.register()

TypesIn = Callable[[str, dict[str, Any], frozenset[str]], list[tuple[str, str]]]
"""(SQL, values of its placeholders, tables that it reads) -> names and KQL types of its columns."""

_NO_LABELS: Mapping[str, str] = MappingProxyType({})
CACHED = 200
MAX_QUERY_CHARACTERS = 2_000_000


@dataclass(frozen=True)
class Translated:
    """One tabular statement, ready to run.

    Attributes:
        sql: DuckDB SQL that reads tables by their KQL names.
        parameters: Values of its placeholders; under `kqlnow` the time that `now()` means.
        tables: Names (or patterns) of the tables it reads.
        render: The chart it asks for, if any.
    """

    sql: str
    parameters: dict[str, Any]
    tables: frozenset[str]
    render: dict[str, Any] | None


class Translator:
    """Translates queries; safe to call from several threads, one at a time runs."""

    def __init__(self) -> None:
        # ANTLR's parser keeps tables that all its instances share and grow.
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[object, ...], list[Translated]] = OrderedDict()

    def translate(
        self,
        query: str,
        known: Columns,
        now: datetime,
        types_in: TypesIn,
        labels: Mapping[str, str] = _NO_LABELS,
    ) -> list[Translated]:
        """The statements of a query.

        Args:
            query: KQL text.
            known: Tables that can be named now, and their columns.
            now: What `now()` and `ago()` count from (aware, UTC).
            types_in: Asks DuckDB for the columns of a part of the query.
            labels: What `withsource` calls tables that it does not call by their names; patterns of
                names do not mean them.

        Raises:
            QueryError: 400; the query is malformed, refers to nothing, or is not supported.
            duckdb.Error: A part of it whose columns are asked for cannot be read.
        """
        if len(query) > MAX_QUERY_CHARACTERS:
            raise semantic_error(
                "SEM0001", f"The query is longer than {MAX_QUERY_CHARACTERS} characters"
            )
        moment = now.replace(tzinfo=None)
        key = (query, tuple(known), tuple(labels.items()))
        with self._lock:
            statements = self._cache.get(key)
            if statements is None:
                statements = self._translate(query, known, now, types_in, labels)
                self._cache[key] = statements
                if len(self._cache) > CACHED:
                    self._cache.popitem(last=False)
            else:
                self._cache.move_to_end(key)
        return [_at(statement, moment) for statement in statements]

    def _translate(
        self,
        query: str,
        known: Columns,
        now: datetime,
        types_in: TypesIn,
        labels: Mapping[str, str],
    ) -> list[Translated]:
        statements = []
        try:
            for statement in syntax.split_statements(query):
                statements.append(self._one(statement, known, now, types_in, labels))
        except RecursionError:
            raise semantic_error("SEM0001", "The query is nested too deeply") from None
        return statements

    @staticmethod
    def _one(
        statement: syntax.Statement,
        known: Columns,
        now: datetime,
        types_in: TypesIn,
        labels: Mapping[str, str],
    ) -> Translated:
        asked = statement.text
        text = kql_text.plain(asked)
        moment = now.replace(tzinfo=None)
        try:
            with clock(moment) as active:
                lowered = lower(text)
                types = _Types(lowered, known, moment, types_in)
                query = nodes.expand(lowered, known, types.of, calls.views(asked), labels)
                syntax.check_conditions(asked)
                semantics.check(query, asked, known)
                if types.failure is not None:
                    raise types.failure
                result = to_sql(query, {name: list(columns) for name, columns in known.items()})
        except KqlSyntaxError as error:
            raise _misread(asked, text, error) from None
        except AssertionError:
            # duckdb-kql's own, for calls that its lowering does not expect.
            raise semantic_error(
                "SEM0001",
                "The query is written in a form that the local Log Analytics does not support",
            ) from None
        except KqlUnsupportedError as error:
            raise _unsupported(asked, text, error) from None
        except KqlSchemaError as error:
            raise semantic_error("SEM0100", _schema_message(asked, error)) from None
        except KqlError as error:
            raise semantic_error("SEM0001", _plain_words(str(error))) from None
        parameters = _values(query, result)
        if active.used:
            # None: the time of each run; another, if the query itself sets `query_now`.
            parameters[CLOCK_SLOT] = None if active.moment == moment else active.moment
        sql = index.by_name_too(str(result))
        tables = frozenset(semantics.tables_of(query))
        return Translated(sql, parameters, tables, statement.render)


class _Types:
    """The types of parts of a query.

    Attributes:
        failure: What was wrong with one of them. The query is not right then, and nothing is told.
    """

    def __init__(
        self, query: ir.Query, known: Columns, moment: datetime, types_in: TypesIn
    ) -> None:
        self._parameters = query.parameters
        self._known = {name: list(columns) for name, columns in known.items()}
        self._moment = moment
        self._types_in = types_in
        self.failure: Exception | None = None

    def of(self, query: ir.Query) -> list[tuple[str, str]] | None:
        query = dataclasses.replace(query, parameters=self._parameters)
        try:
            result = to_sql(query, self._known)
            values = _values(query, result)
            if CLOCK_SLOT in result.slots:
                values[CLOCK_SLOT] = self._moment
            tables = frozenset(semantics.tables_of(query))
            return self._types_in(index.by_name_too(str(result)), values, tables)
        except (KqlError, QueryError, AssertionError, duckdb.Error) as error:
            self.failure = self.failure or error
            return None


def _values(query: ir.Query, result: TranslationResult) -> dict[str, Any]:
    """Values of the placeholders that the SQL mentions: DuckDB refuses one for no placeholder."""
    values, unbound = bind(query.parameters, None) if query.parameters else ({}, ())
    if unbound:
        raise semantic_error("SEM0001", f"The query parameter '{unbound[0]}' has no value")
    return {slot: value for slot, value in values.items() if slot in result.slots}


@cache
def shared() -> Translator:
    """The translator of this process: the parsers share tables, and take turns."""
    return Translator()


def _misread(asked: str, text: str, error: KqlSyntaxError) -> QueryError:
    """What is wrong with a query, though it was written otherwise before it was parsed."""
    if asked != text:
        try:
            lower(asked)
        except KqlSyntaxError as original:
            return syntax.explain(asked, original.diagnostics)
        except KqlError:
            pass
    return syntax.explain(text, error.diagnostics)


def _at(statement: Translated, moment: datetime) -> Translated:
    """The statement with `now()` at `moment`, unless the query itself sets `query_now`."""
    if statement.parameters.get(CLOCK_SLOT, moment) is not None:
        return statement
    parameters = statement.parameters | {CLOCK_SLOT: moment}
    return Translated(statement.sql, parameters, statement.tables, statement.render)


def _unsupported(asked: str, text: str, error: KqlUnsupportedError) -> QueryError:
    """The refusal of what is not supported in `text`, which was written for `asked`."""
    construct = error.construct
    if construct.startswith("function:"):
        name = construct.removeprefix("function:")
        if name in ("workspace", "app", "resource"):
            return semantic_error(
                "SEM0100",
                f"{name}(){syntax.place_of(asked, name)} names a table of another workspace or "
                f"resource: {name}('…').ContainerAppConsoleLogs_CL",
            )
        if (misused := _misused(name)) is not None:
            return semantic_error("SEM0219", f"{misused}{syntax.place_of(asked, name)}")
        known = [*SCALAR_FUNCTIONS, *AGGREGATE_FUNCTIONS, *windows.FUNCTIONS]
        known = [one for one in known if not one.startswith("__local")]
        near = difflib.get_close_matches(name, known, 1, 0.7)
        hint = f". Did you mean '{near[0]}'?" if near else ""
        return semantic_error(
            "SEM0260",
            f"Unknown function: '{name}'{syntax.place_of(asked, name)}, or one that the local Log "
            f"Analytics does not support{hint}",
        )
    place, what = "", construct
    if error.span is not None:
        line, column = error.span.line, error.span.column + 1
        place = f" (line {line}, position {column})"
        for token in syntax.tokens(text):
            if (token.line, token.column) == (line, column):
                what = token.text
        if asked != text:
            place = syntax.place_of(asked, what)
    elif (words := construct.split(":")) and len(words) > 1:
        what = words[-1]
    given = _plain_words(error.hint or "")
    if "tabular body" in given:
        given = "a function that gives a table is one pipeline, and does not call itself"
    if given.startswith(("expects", "takes")):
        return semantic_error("SEM0219", f"{what}{place}: {given}")
    if given.startswith(f"{what}() takes"):
        return semantic_error("SEM0219", f"{given}{place}")
    if what in _COUNTED:
        return semantic_error("SEM0219", f"'{what}'{place} wants a whole number: {what} 10")
    near = difflib.get_close_matches(what, AGGREGATE_FUNCTIONS, 1, 0.7)
    if construct.startswith("aggregate") and near and near[0] != what:
        return semantic_error(
            "SEM0260",
            f"Unknown function: '{what}'{syntax.place_of(asked, what)}. Did you mean '{near[0]}'?",
        )
    hint = f": {given}" if given and "this wave" not in given else ""
    return semantic_error(
        "SEM0001", f"'{what}'{place} is not supported by the local Log Analytics{hint}"
    )


_COUNTED = frozenset({"take", "limit"})
_ARGUMENTS = re.compile(r"takes \((\d+(?:, \d+)*),?\) argument\(s\), got (\d+)")


def _plain_words(hint: str) -> str:
    """A hint without Python's lists and tuples in it."""
    hint = _ARGUMENTS.sub(
        lambda found: f"takes {found[1].replace(', ', ' or ')} arguments, not {found[2]}", hint
    )
    hint = hint.partition("; Kusto")[0]
    return re.sub(r"\['([^\]]*)'\]", lambda found: found[1].replace("', '", ", "), hint)


def _misused(name: str) -> str | None:
    """What is wrong with the use of a function that there is."""
    if name in SCALAR_FUNCTIONS:
        taken = functions.COUNTS.get(name, SCALAR_FUNCTIONS[name].arities)
        counts = " or ".join(map(str, taken)) or "other"
        return f"{name}() takes {counts} argument{'' if counts == '1' else 's'}"
    if name in AGGREGATE_FUNCTIONS:
        return f"{name}() is an aggregate, which stands in 'summarize' alone"
    return None


_NAMED = re.compile(r'[Cc]olumn "([^"]+)"')


def not_bound(text: str, message: str) -> QueryError:
    """What DuckDB found wrong in the SQL of a query, as a statement about the query.

    Args:
        text: The query.
        message: DuckDB's message, without its picture of the SQL.
    """
    named = _NAMED.search(message)
    if named is not None:
        name = named[1]
        return semantic_error(
            "SEM0100",
            f"Failed to resolve scalar expression named '{name}'{syntax.place_of(text, name)}",
        )
    return semantic_error("SEM0064", in_words(message))


def _schema_message(text: str, error: KqlSchemaError) -> str:
    place = syntax.place_of(text, error.name)
    return f"Failed to resolve '{error.name}'{place}" + (f": {error.hint}" if error.hint else "")
