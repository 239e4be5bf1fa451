"""Whether a query works row by row, so that asking for parts of the time span and joining the
answers gives what asking for all of it would.

Decided by the query's shape, and in doubt it does not: an aggregate, a sorting by anything but
time, a number of rows at most, a join, each would mean something else for a part.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.kql_words import Word, statements

# Operators whose output for some rows depends on those rows alone.
_ROW_BY_ROW = frozenset(
    (
        "where", "filter", "extend", "project", "project-away", "project-keep", "project-rename",
        "project-reorder", "parse", "parse-where", "parse-kv", "mv-expand", "as",
    )
)  # fmt: skip
_SORTING = frozenset({"sort", "order"})
_TIMES = frozenset({"timegenerated", "_timestamp_d", "time_t", "$time"})
# Functions that look at other rows.
_WINDOW = frozenset(
    (
        "row_number", "row_rank_dense", "row_rank_min", "row_cumsum", "row_window_session", "prev",
        "next", "toscalar", "materialize",
    )
)  # fmt: skip
_WHY = {
    "summarize": "its aggregates would be made of each part alone",
    "count": "its count would be made of each part alone",
    "distinct": "it would tell what is distinct in each part alone",
    "take": "it asks for so many rows at most",
    "limit": "it asks for so many rows at most",
    "top": "it asks for so many rows at most",
    "join": "rows of one part would not meet those of another",
    "lookup": "rows of one part would not meet those of another",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A query's shape.

    Attributes:
        why_not: Why it does not work row by row; "" when it does.
        at: Where a condition on the time belongs: behind the source, before the first operator.
            None when no source was found.
        newest_first: Whether the rows come newest first.
    """

    why_not: str
    at: int | None = None
    newest_first: bool = False

    def source(self, query: str) -> str:
        """The query's beginning: its lets and its source."""
        assert self.at is not None
        return query[: self.at].rstrip()

    def between(self, query: str, condition: str) -> str:
        """The query over the rows for which this condition holds."""
        return f"{self.source(query)}\n| where {condition}\n{query[self.at :]}"


def shape_of(query: str) -> Shape:
    """The shape of a query."""
    found = statements(query)
    tabular = [one for one in found if one[0].text.lower() not in ("let", "set", "declare")]
    if len(tabular) != 1:
        return Shape(f"it has {len(tabular)} statements that give rows")
    for one in found:
        if one[0].text.lower() == "let" and any(w.text == "|" for w in one):
            return Shape("it names another query with let")
    main = tabular[0]
    pipes = [n for n, w in enumerate(main) if w.text == "|" and w.kind == "mark" and w.depth == 0]
    end = _end(query, main)
    at = main[pipes[0]].start if pipes else end
    source = main[: pipes[0]] if pipes else main
    why = _source_refused(source)
    if why:
        return Shape(why, None)
    newest_first = False
    for number, pipe in enumerate(pipes):
        last = pipes[number + 1] if number + 1 < len(pipes) else len(main)
        operator = main[pipe + 1 : last]
        if not operator:
            return Shape("an operator is missing behind a bar", at)
        name = operator[0].text.lower()
        if name in _SORTING:
            refused, newest_first = _sorting(operator[1:])
            if refused:
                return Shape(refused, at)
            continue
        if name not in _ROW_BY_ROW:
            return Shape(f"{name}: {_WHY.get(name, 'it looks at more than one row at a time')}", at)
        for word in operator:
            if word.kind == "name" and word.text.lower() in _WINDOW:
                return Shape(f"{word.text}: it looks at more than one row at a time", at)
            if word.text == "|":
                return Shape(f"{name}: it holds another query", at)
    return Shape("", at, newest_first)


def _end(query: str, statement: list[Word]) -> int:
    last = statement[-1]
    return last.start + len(last.text)


def _source_refused(source: list[Word]) -> str:
    """Why the condition cannot follow the source; "" when it can."""
    first = source[0].text.lower() if source else ""
    if first == "union":
        tables = [w for w in source[1:] if w.kind == "name" and w.depth == 0]
        simple = all(w.text == "," or w.kind == "name" or w.text in "()*=" for w in source[1:])
        return "" if tables and simple else "it unites other queries"
    if len(source) == 1 and source[0].kind == "name" and first not in ("search", "print", "range"):
        return ""
    return "it begins with no table"


def _sorting(words: list[Word]) -> tuple[str, bool]:
    """(why a sorting is refused, whether the newest come first)."""
    names = [w.text.lower() for w in words if w.kind == "name"]
    if names[:1] != ["by"] or len(names) < 2:
        return "its order is not understood", False
    keys = [n for n in names[1:] if n not in ("asc", "desc", "nulls", "first", "last")]
    if len(keys) != 1 or keys[0] not in _TIMES:
        return (
            "order: rows would be in order of each part alone (only an order by time holds)",
            False,
        )
    return "", "asc" not in names  # Kusto sorts downwards unless told otherwise
