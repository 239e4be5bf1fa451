"""Large answers in parts: which queries may be; nothing is lost, doubled or out of order."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import BadInput, ServiceFailed, Throttled
from orchestrator.queries.parts import LargeAnswer, PartsProgress, is_too_large, span_of
from orchestrator.queries.result import QueryResult, QueryTable
from orchestrator.queries.row_wise import shape_of

START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=1)


@pytest.mark.parametrize(
    "query",
    [
        "T",
        "T | where a == 'x | y' | project a, b",
        "T // a comment with | count\n| extend c = strlen(a)",
        "let x = 5; T | where a > x | order by TimeGenerated asc",
        "T | sort by _timestamp_d desc;",
        "union A, B | where a == 1",
        "union withsource=Table A, B",
        "T | parse a with 'x' b 'y' | mv-expand c | project-away d",
    ],
)
def test_row_by_row(query: str) -> None:
    assert shape_of(query).why_not == ""


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("T | summarize count() by a", "aggregates"),
        ("T | count", "count"),
        ("T | take 10", "so many rows"),
        ("T | top 5 by a", "so many rows"),
        ("T | distinct a", "distinct"),
        ("T | join (U) on a", "meet"),
        ("T | where a in (U | project a)", "another query"),
        ("T | extend n = row_number()", "more than one row"),
        ("let U = T | where a; U | where b", "let"),
        ("T | count; U | count", "2 statements"),
        ("union (T | where a), U", "unites"),
        ("search 'x'", "no table"),
        ("print 1", "no table"),
        ("T | make-series count() on TimeGenerated step 1h", "of each part alone"),
        ("T | evaluate bag_unpack(a)", "more than one row"),
    ],
)
def test_not_row_by_row(query: str, why: str) -> None:
    assert why in shape_of(query).why_not


@pytest.mark.parametrize(
    ("query", "by_time"),
    [
        ("T | order by TimeGenerated asc", True),
        ("T | sort by TimeGenerated", True),
        # The answer's columns count no more once the rows are in order.
        ("T | order by TimeGenerated asc | extend TimeGenerated = now()", True),
        ("T | where TimeGenerated == ago(1d) | order by TimeGenerated", True),
        ("T | order by _timestamp_d", False),
        ("T | order by TimeGenerated, a", False),
        ("T | order by timegenerated", False),
        ("T | extend TimeGenerated = now() | order by TimeGenerated", False),
        ("T | extend ['TimeGenerated'] = now() | order by TimeGenerated", False),
        ("T | extend (a, TimeGenerated) = f() | order by TimeGenerated", False),
        ("T | extend (TimeGenerated, a) = f() | order by TimeGenerated", False),
        ("T | project TimeGenerated = time_t | order by TimeGenerated", False),
        ("T | project-rename TimeGenerated=time_t | order by TimeGenerated", False),
        ("T | parse a with * 'at ' TimeGenerated:datetime | order by TimeGenerated", False),
        ("T | mv-expand TimeGenerated = b | order by TimeGenerated", False),
        ("union withsource=TimeGenerated A, B | order by TimeGenerated", False),
        ("T | order by TimeGenerated | order by a", False),
    ],
)
def test_which_order_is_that_of_the_parts(query: str, by_time: bool) -> None:
    shape = shape_of(query)
    assert (shape.why_not, shape.to_merge) == ("", not by_time)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("T | order by strlen(a)", "not by columns alone"),
        ("T | order by a | extend a = 1", "another value"),
        ("T | order by a | parse b with 'x' a", "another value"),
        ("T | order by a | evaluate f()", "follows it"),
        ("T | order by TimeGenerated | serialize", "follows it"),
    ],
)
def test_an_order_of_which_nothing_is_known(query: str, why: str) -> None:
    assert why in shape_of(query).no_order


def test_the_columns_of_an_order() -> None:
    order = shape_of("T | order by a, b asc, c desc nulls first, d asc nulls last").order
    assert [(k.name, k.descending, k.nulls_first) for k in order] == [
        ("a", True, False),
        ("b", False, True),
        ("c", True, True),
        ("d", False, False),
    ]


def test_the_condition_stands_behind_the_source() -> None:
    query = "let x = '|';\nT // first | comment\n| where a == x"
    assert shape_of(query).between(query, "C") == (
        "let x = '|';\nT // first | comment\n| where C\n| where a == x"
    )
    assert shape_of("T").between("T", "C") == "T\n| where C\n"


class Service:
    """Rows at moments, of which it gives `cap` at once; with hiccups."""

    def __init__(self, moments: list[datetime], cap: int, busy: int = 0, slow: int = 0) -> None:
        self.rows = sorted((moment, n) for n, moment in enumerate(moments))
        self.cap = cap
        self.busy = busy
        self.slow = slow
        self.asked: list[str] = []

    def __call__(self, query: str, span: tuple[datetime, datetime] | None) -> QueryResult:
        self.asked.append(query)
        if self.busy and len(self.asked) % 3 == 0:
            self.busy -= 1
            raise Throttled("Too many.", retry_after=7)
        bounds = [
            datetime.fromisoformat(text.replace("Z", "+00:00"))
            for text in re.findall(r"datetime\(([^)]+)\)", query)
        ]
        first, last = bounds[-2:] if len(bounds) >= 2 else (START, END)
        rows = [row for row in self.rows if first <= row[0] < last]
        if "desc" in query:
            rows.reverse()
        if query.endswith("| count"):
            return QueryResult([QueryTable([(len(rows),)], names=["Count"], types=["long"])])
        if "summarize First" in query:
            ends = (rows[0][0], rows[-1][0]) if rows else (None, None)
            return QueryResult(
                [QueryTable([ends], names=["First", "Last"], types=["datetime", "datetime"])]
            )
        if self.slow and last - first > timedelta(hours=self.slow):
            raise ServiceFailed("It took too long.", status=504)
        partial = "exceed the set limit of 500000 records" if len(rows) > self.cap else ""
        table = QueryTable(
            rows[: self.cap], names=["TimeGenerated", "n"], types=["datetime", "long"]
        )
        return QueryResult([table], partial=partial)


class Waited:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def time(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


moments = st.lists(
    st.one_of(
        st.floats(0, 86399).map(lambda s: START + timedelta(seconds=round(s, 3))),
        st.integers(0, 30).map(lambda s: START + timedelta(hours=3, milliseconds=s)),
    ),
    max_size=300,
)


@given(
    moments,
    st.integers(5, 60),
    st.sampled_from(["asc", "desc"]),
    st.sampled_from([0, 2]),
    st.booleans(),
)
@settings(max_examples=60)
def test_any_rows_come_once_and_in_order(
    at: list[datetime], cap: int, order: str, slow: int, knows: bool
) -> None:
    # One that takes too long over all of it can only be asked in parts.
    service = Service(at, cap, slow=slow if knows else 0)
    query = f"T | order by TimeGenerated {order}"
    # No moment may hold more rows than the service gives at once: that cannot be divided.
    if at and max(map(at.count, at)) > cap:
        return
    large = LargeAnswer(service, Waited())
    # What the service gives at once is found out, or known before.
    large.room = cap if knows else 10**6
    found = large.answer(query, (START, END))
    expected = service.rows if order == "asc" else service.rows[::-1]
    assert [row[0] for row in found] == [row[0] for row in expected]
    assert sorted(row[1] for row in found) == sorted(row[1] for row in expected)
    assert found.partial == ""


class Sorted:
    """Rows of which one column goes against the time; it sorts them itself, as the service does."""

    NAMES = ("TimeGenerated", "taken", "text")

    def __init__(self, count: int, cap: int, kind: str = "real") -> None:
        self.rows = [
            (START + timedelta(minutes=n), float((n * 7919) % count) if n % 5 else None, f"t{n}")
            for n in range(count)
        ]
        self.cap = cap
        self.types = ("datetime", kind, "string")
        self.asked: list[str] = []

    def __call__(self, query: str, span: tuple[datetime, datetime] | None) -> QueryResult:
        self.asked.append(query)
        bounds = [datetime.fromisoformat(b) for b in re.findall(r"datetime\(([^)]+)\)", query)]
        first, last = bounds[-2:] if len(bounds) >= 2 else (START, END)
        rows = [row for row in self.rows if first <= row[0] < last]
        if query.endswith("| count"):
            return QueryResult([QueryTable([(len(rows),)], names=["Count"], types=["long"])])
        if "summarize First" in query:
            ends = [(rows[0][0], rows[-1][0])] if rows else []
            return QueryResult(
                [QueryTable(ends, names=["First", "Last"], types=["datetime", "datetime"])]
            )
        known = sorted((row for row in rows if row[1] is not None), key=lambda row: row[1] or 0)
        without = [row for row in rows if row[1] is None]
        rows = known[::-1] + without if "desc" in query else without + known
        names = [n for n in self.NAMES if n != "taken" or "project text" not in query]
        if "take 0" in query:
            rows = []
        partial = "exceed the set limit of 500000 records" if len(rows) > self.cap else ""
        kept = [self.NAMES.index(n) for n in names]
        table = QueryTable(
            [tuple(row[i] for i in kept) for row in rows[: self.cap]],
            names=names,
            types=[self.types[i] for i in kept],
        )
        return QueryResult([table], partial=partial)


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_an_order_by_another_column_is_kept_over_the_parts(direction: str) -> None:
    service = Sorted(1000, 300)
    query = f"T | order by taken {direction}"
    found = LargeAnswer(service, Waited()).answer(query, (START, END))
    assert len(found) == 1000
    values = [row[1] for row in found]
    without, known = [v for v in values if v is None], [v for v in values if v is not None]
    assert len(without) == 200
    assert known == sorted(known, reverse=direction == "desc")
    # A row without a value stands where the service itself would have put it.
    assert values == (without + known if direction == "asc" else known + without)


@pytest.mark.parametrize("row_wise", [True, False])
@pytest.mark.parametrize(
    ("query", "kind", "why"),
    [
        ("T | order by taken | project text", "real", "taken is no column of the answer"),
        ("T | order by taken", "string", "taken is a string"),
        ("T | order by strlen(text)", "real", "not by columns alone"),
    ],
)
def test_an_order_that_cannot_be_kept_is_refused_before_all_is_asked_for(
    query: str, kind: str, why: str, row_wise: bool
) -> None:
    service = Sorted(1000, 300, kind)
    large = LargeAnswer(service, Waited())
    large.room = 300
    with pytest.raises(BadInput, match=why) as caught:
        large.answer(query, (START, END), row_wise=row_wise)
    assert "leave the order out" in caught.value.hint
    assert all("take 0" in one or "| count" in one for one in service.asked)


def test_every_part_is_asked_with_the_whole_timespan() -> None:
    """What else the query reads, such as a function of the workspace, is not cut at the parts."""
    spans: set[object] = set()
    service = Service([START + timedelta(minutes=n) for n in range(1000)], 300)

    def ask(query: str, span: tuple[datetime, datetime] | None) -> QueryResult:
        if "datetime(" in query:
            spans.add(span)
        return service(query, span)

    large = LargeAnswer(ask, Waited())
    assert len(large.answer("T", (START, END))) == 1000
    second = timedelta(seconds=1)
    assert spans == {(START - second, END + second)}


@pytest.mark.parametrize(
    "operator", ["summarize count() by a", "take 8", "top 8 by a", "distinct a"]
)
def test_what_is_never_row_wise_is_refused_whatever_is_said(operator: str) -> None:
    service = Service([START] * 10, 5)
    with pytest.raises(BadInput, match="cannot be asked in parts") as caught:
        LargeAnswer(service, Waited()).answer(f"T | {operator}", (START, END), row_wise=True)
    assert "--row-wise" not in caught.value.hint


def test_it_waits_when_the_service_asks_and_says_so() -> None:
    at = [START + timedelta(minutes=n) for n in range(1000)]
    service, time = Service(at, 300, busy=2), Waited()
    heard: list[str] = []
    seen: list[PartsProgress] = []
    large = LargeAnswer(service, time, seen.append, heard.append)
    found = large.collect("T", Service(at, 300)("T", None), (START, END), row_wise=False)
    assert len(found) == 1000
    assert time.slept == [7, 7]
    assert "7 s" in heard[0]
    assert (seen[-1].rows, seen[-1].total) == (1000, 1000)
    assert seen[-1].parts >= 4


def test_a_moment_that_is_too_full_is_told() -> None:
    at = [START + timedelta(hours=5)] * 50
    large = LargeAnswer(Service(at, 20), Waited())
    found = large.collect("T", Service(at, 20)("T", None), (START, END), row_wise=False)
    assert len(found) == 20
    assert "exceed" in found.partial


def test_what_would_change_its_meaning_is_refused_unless_said() -> None:
    service = Service([START] * 10, 5)
    first = service("T | join (U) on a", None)
    large = LargeAnswer(service, Waited())
    with pytest.raises(BadInput, match="would not meet") as caught:
        large.collect("T | join (U) on a", first, (START, END), row_wise=False)
    assert "--row-wise" in caught.value.hint
    with pytest.raises(BadInput, match="no table at its beginning"):
        large.collect("search 'x'", first, (START, END), row_wise=True)


def test_the_span_ends_at_the_services_present() -> None:
    def ask(query: str, span: object) -> QueryResult:
        assert query == "print Now = now()"
        return QueryResult([QueryTable([(END,)], names=["Now"], types=["datetime"])])

    assert span_of(ask, START, None) == (START, END)
    with pytest.raises(BadInput, match="no beginning"):
        span_of(ask, None, None)
    with pytest.raises(BadInput, match="before it begins"):
        span_of(ask, END, START)


def test_too_large_is_told_from_other_partial_answers() -> None:
    assert is_too_large("… exceed the set limit of 500000 records … (E_QUERY_RESULT_SET_TOO_LARGE)")
    assert not is_too_large("One of the shards could not be reached.")
