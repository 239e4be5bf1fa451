"""Whether a query works row by row, so that asking for parts of the time span and joining the
answers gives what asking for all of it would; and in which order its rows come.

Decided by the query's shape, and in doubt it does not: an aggregate, a number of rows at most, a
join, each would mean something else for a part.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.queries.kql_words import Word, statements

TIME = "TimeGenerated"
"""The column by which the time is divided."""

# Operators whose output for some rows depends on those rows alone, and that keep their order.
_ROW_BY_ROW = frozenset(
    (
        "where", "filter", "extend", "project", "project-away", "project-keep", "project-rename",
        "project-reorder", "parse", "parse-where", "parse-kv", "mv-expand", "as",
    )
)  # fmt: skip
_SORTING = frozenset({"sort", "order"})
_QUOTES = re.compile(r"""^[hH]?@?["'`~]+|["'`~]+$""")
# These give a column a value in ways of their own: any mention of it counts.
_MAKING = frozenset({"parse", "parse-where", "parse-kv", "mv-expand"})
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
    "make-series": "its series would be made of each part alone",
    "sample": "it asks for so many rows at most",
    "join": "rows of one part would not meet those of another",
    "lookup": "rows of one part would not meet those of another",
}
_NEVER = frozenset(_WHY) - {"join", "lookup"}
"""Whatever is said of the query, these mean something else for a part."""


@dataclass(frozen=True, slots=True)
class Key:
    """One column of an order. `nulls_first`: whether those without a value come first."""

    name: str
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """A query's shape.

    Attributes:
        why_not: Why it does not work row by row; "" when it does.
        at: Where a condition on the time belongs: behind the source, before the first operator.
            None when no source was found.
        never: Whether `why_not` holds whatever is said of the query.
        order: The columns by which its rows are in order; () when it says none.
        by_time: Whether that is the order of the time by which the span is divided, so that one
            part's rows stand before the next one's.
        no_order: Why nothing can be known of its order; "" otherwise.
    """

    why_not: str
    at: int | None = None
    never: bool = False
    order: tuple[Key, ...] = ()
    by_time: bool = False
    no_order: str = ""

    @property
    def newest_first(self) -> bool:
        """Whether the rows come newest first, by the time by which the span is divided."""
        return self.by_time and self.order[0].descending

    @property
    def to_merge(self) -> bool:
        """Whether its order is another than that of the time by which the span is divided."""
        return bool(self.no_order) or (bool(self.order) and not self.by_time)

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
        return Shape(f"it has {len(tabular)} statements that give rows", never=True)
    why_not = ""
    for one in found:
        if one[0].text.lower() == "let" and any(w.text == "|" for w in one):
            why_not = "it names another query with let"
    main = tabular[0]
    pipes = [n for n, w in enumerate(main) if w.text == "|" and w.kind == "mark" and w.depth == 0]
    at = main[pipes[0]].start if pipes else _end(main)
    source = main[: pipes[0]] if pipes else main
    refused = _source_refused(source)
    if refused:
        return Shape(refused, None)
    operators = []
    for number, pipe in enumerate(pipes):
        last = pipes[number + 1] if number + 1 < len(pipes) else len(main)
        operators.append(main[pipe + 1 : last])
    if not all(operators):
        return Shape("an operator is missing behind a bar", at, never=True)
    never = next((o[0].text.lower() for o in operators if o[0].text.lower() in _NEVER), "")
    if never:
        return Shape(f"{never}: {_WHY[never]}", at, never=True)
    why_not = why_not or next((why for o in operators if (why := _not_row_by_row(o))), "")
    order, by_time, no_order = _order(source, operators)
    return Shape(why_not, at, order=order, by_time=by_time, no_order=no_order)


def _end(statement: list[Word]) -> int:
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


def _not_row_by_row(operator: list[Word]) -> str:
    """Why an operator looks at more than one row; "" when it does not."""
    name = operator[0].text.lower()
    if name in _SORTING:
        return ""
    if name not in _ROW_BY_ROW:
        return f"{name}: {_WHY.get(name, 'it looks at more than one row at a time')}"
    for word in operator:
        if word.kind == "name" and word.text.lower() in _WINDOW:
            return f"{word.text}: it looks at more than one row at a time"
        if word.text == "|":
            return f"{name}: it holds another query"
    return ""


# ------------------------------------------------------------------------------- the order


def _order(
    source: list[Word], operators: Sequence[list[Word]]
) -> tuple[tuple[Key, ...], bool, str]:
    """(columns of the order, whether it is that of the time divided by, why it is not known)."""
    places = [n for n, o in enumerate(operators) if o[0].text.lower() in _SORTING]
    if not places:
        return (), False, ""
    place = places[-1]
    keys = _keys(operators[place])
    if not keys:
        return (), False, "it is not by columns alone"
    before = operators[:place]
    by_time = (
        [key.name for key in keys] == [TIME]
        and not _mentions(source, TIME)
        and not any(_makes(operator, TIME) for operator in before)
    )
    for operator in operators[place + 1 :]:
        if operator[0].text.lower() not in _ROW_BY_ROW:
            return keys, by_time, f"{operator[0].text} follows it"
        if by_time:
            continue  # the rows stay where they are, whatever their columns are called
        for key in keys:
            if _makes(operator, key.name):
                return keys, False, f"{operator[0].text} gives {key.name} another value"
    return keys, by_time, ""


def _keys(sorting: list[Word]) -> tuple[Key, ...]:
    """The columns of an order; () when it is by anything but columns."""
    words = sorting[1:]
    if not words or words[0].text.lower() != "by":
        return ()
    keys: list[Key] = []
    parts: list[list[Word]] = [[]]
    for word in words[1:]:
        if word.text == "," and word.depth == 0:
            parts.append([])
        else:
            parts[-1].append(word)
    for part in parts:
        texts = [w.text for w in part]
        if not part or any(w.kind != "name" for w in part):
            return ()
        rest = " ".join(texts[1:]).lower()
        direction, _, nulls = rest.partition("nulls")
        descending = direction.strip() != "asc"  # Kusto sorts downwards unless told otherwise
        if direction.strip() not in ("", "asc", "desc") or nulls.strip() not in (
            ("first", "last") if "nulls" in rest else ("",)
        ):
            return ()
        first = nulls.strip() == "first" if nulls.strip() else not descending
        keys.append(Key(texts[0], descending, first))
    return tuple(keys)


def _same(word: Word, column: str) -> bool:
    """Whether a word names a column, as `Column` or as `['Column']`; in doubt it does."""
    if word.kind == "text":
        return _QUOTES.sub("", word.text).lower() == column.lower()
    return word.kind == "name" and word.text.lower() == column.lower()


def _mentions(words: Sequence[Word], column: str) -> bool:
    return any(_same(word, column) for word in words)


def _makes(operator: list[Word], column: str) -> bool:
    """Whether an operator gives a column another value, or might."""
    name = operator[0].text.lower()
    if name in ("where", "filter", "as", "project-reorder", *_SORTING):
        return False
    if not _mentions(operator, column):
        return False
    if name in _MAKING or name not in _ROW_BY_ROW:
        return True
    for number, word in enumerate(operator):
        assigned = operator[number + 1 : number + 4]
        while assigned and assigned[0].text in ("]", ")"):
            assigned = assigned[1:]
        # `(a, b) = …` gives both a value, whichever of them this is.
        if (_same(word, column) or word.text == ")") and _assigns(assigned):
            return True
    return False


def _assigns(words: Sequence[Word]) -> bool:
    """Whether these words begin with an assignment, and not with a comparison."""
    if not words or words[0].text != "=":
        return False
    return len(words) < 2 or words[1].text not in ("=", "~")
