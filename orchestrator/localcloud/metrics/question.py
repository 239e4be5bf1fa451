"""What a request for metrics asks, read strictly: names, time, grain, aggregations, `$filter`.

https://learn.microsoft.com/rest/api/monitor/metrics/list
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.durations import read_duration
from orchestrator.localcloud.logs.errors import QueryError
from orchestrator.localcloud.logs.timespan import parse_timespan
from orchestrator.localcloud.metrics.catalogue import Metric, metrics_of, type_name

GRAINS = {
    1: "PT1M",
    5: "PT5M",
    15: "PT15M",
    30: "PT30M",
    60: "PT1H",
    360: "PT6H",
    720: "PT12H",
    1440: "P1D",
}
"""Minutes -> as it is written."""

AGGREGATIONS = ("Average", "Count", "Maximum", "Minimum", "Total")
MOST_BUCKETS = 50_000
_MICROS = 60_000_000
_TERM = re.compile(
    r"\s*\(*\s*([A-Za-z][\w.\- ]*?)\s+(eq|ne|sw|startswith)\s+'((?:[^']|'')*)'\s*\)*\s*"
    r"(?:(and|or)\b|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Split:
    """A `$filter`: which series are meant, and by which dimensions they stay apart.

    Attributes:
        terms: (dimension, operator, values): one of the values for `eq` and `sw`, none for `ne`.
        names: The dimensions that are named, in order.
    """

    terms: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    names: tuple[str, ...] = ()

    def keeps(self, dimensions: Mapping[str, str]) -> bool:
        """Whether a series is meant; its dimensions by their names in lower case."""
        return all(_holds(dimensions.get(name), op, values) for name, op, values in self.terms)


def _holds(found: str | None, operator: str, values: tuple[str, ...]) -> bool:
    if found is None:
        return False
    text = found.lower()
    if operator == "eq":
        return any(value in ("*", text) for value in values)
    if operator == "ne":
        return text not in values
    return any(text.startswith(value) for value in values)


@dataclass(frozen=True, slots=True)
class Question:
    """A request for metrics of one resource type.

    Attributes:
        kind: The resource type as Azure spells it.
        metrics: What is asked for.
        first, last: Minutes since the epoch: from `first` on, before `last`.
        grain: Minutes in one data point; 0: all in one (`FULL`).
        aggregations: None: each metric's own.
        split: The `$filter`.
        rolled: Dimensions (lower case) that are filtered by and not split by.
        top: Series at most.
        order: (aggregation, whether descending).
        metadata: Only which series there are.
    """

    kind: str
    metrics: tuple[Metric, ...]
    first: int
    last: int
    grain: int
    aggregations: tuple[str, ...] | None
    split: Split | None
    rolled: frozenset[str] = frozenset()
    top: int = 10
    order: tuple[str, bool] | None = None
    metadata: bool = False

    @property
    def interval(self) -> str:
        """The grain as it is written."""
        return GRAINS.get(self.grain, "FULL")


def bad(message: str, code: str = "BadRequest") -> ArmError:
    """400."""
    return ArmError(code, message)


def read_question(resource_type: str, query: Mapping[str, str], now: datetime) -> Question:
    """The question of a request's query string (names in lower case).

    Raises:
        ArmError: 400, saying what is wrong and what is allowed.
    """
    known = metrics_of(resource_type)
    kind = type_name(resource_type)
    if not known:
        raise bad(
            f"The resource type '{resource_type}' has no metrics here; those that have are "
            "Microsoft.App/jobs and Microsoft.ServiceBus/namespaces.",
            "ResourceTypeNotSupported",
        )
    namespace = query.get("metricnamespace", "")
    if namespace and namespace.lower() != kind.lower():
        raise bad(f"The metric namespace '{namespace}' is not one of '{kind}'.")
    metrics = _metrics(query.get("metricnames", ""), known, kind)
    first, last = _span(query, now)
    grain = _grain(query)
    split = _split(query.get("$filter", "").strip() or query.get("filter", "").strip(), metrics)
    if grain:
        first -= first % grain
        if (last - first) / grain > MOST_BUCKETS:
            raise bad(
                f"The timespan has more than {MOST_BUCKETS} data points of {GRAINS[grain]}: ask "
                "for a longer interval or a shorter timespan."
            )
    rolled = query.get("rollupby", "").lower().split(",")
    return Question(
        kind=kind,
        metrics=metrics,
        first=first,
        last=last,
        grain=grain,
        aggregations=_aggregations(query.get("aggregation", "")),
        split=split,
        rolled=frozenset(name.strip() for name in rolled if name.strip()),
        top=_top(query.get("top", "")),
        order=_order(query.get("orderby", "")),
        metadata=query.get("resulttype", "").lower() == "metadata",
    )


def _metrics(names: str, known: Mapping[str, Metric], kind: str) -> tuple[Metric, ...]:
    """The metrics of a list of names; the type's first where it is empty."""
    asked = [name for name in (unquote(part).strip() for part in names.split(",")) if name]
    metrics = []
    for name in asked or [next(iter(known.values())).name]:
        metric = known.get(name.lower())
        if metric is None:
            provider, _, short = kind.partition("/")
            valid = ",".join(one.name for one in known.values())
            raise bad(
                f"Failed to find metric configuration for provider: {provider}, resource Type: "
                f"{short}, metric: {name}, Valid metrics: {valid}"
            )
        metrics.append(metric)
    return tuple(metrics)


def _split(text: str, metrics: Sequence[Metric]) -> Split | None:
    """The `$filter`, whose dimensions every metric must have; None for an empty one."""
    if not text:
        return None
    split = read_filter(text)
    for metric in metrics:
        if {n.lower() for n in split.names} - {d.lower() for d in metric.dimensions}:
            raise bad(
                f"Metric: {metric.name} does not support requested dimension combination: "
                f"{','.join(split.names).lower()}, supported ones are: "
                f"{','.join(metric.dimensions).lower() or 'none'}"
            )
    return split


def _span(query: Mapping[str, str], now: datetime) -> tuple[int, int]:
    text = query.get("timespan", "")
    start, end = query.get("starttime", ""), query.get("endtime", "")
    if not text and (start or end):
        text = f"{start or 'PT1H'}/{end or now.isoformat()}"
    # az sends it percent-encoded twice.
    text = unquote(text) if "%" in text else text
    # A plus of a time zone that was not encoded is a space by now.
    text = re.sub(r"(\d) (\d\d:\d\d)", r"\1+\2", text)
    try:
        span = parse_timespan(text or "PT1H", now)
    except QueryError as error:
        raise bad(str(error)) from None
    start_at = (span.start or 0) / _MICROS
    if span.end is None:
        # So long, up to and with the present minute.
        last = int(now.timestamp() // 60) + 1
        return last - max(1, math.ceil(now.timestamp() / 60 - start_at)), last
    first = int(start_at)
    return first, max(first, math.ceil(span.end / _MICROS))


def _grain(query: Mapping[str, str]) -> int:
    text = query.get("interval", "").strip()
    if text.upper() == "FULL":
        return 0
    if text.upper() in ("", "AUTO"):
        return 1
    try:
        asked = read_duration(text, "interval") / 60
    except ValueError as error:
        raise bad(str(error)) from None
    if asked in GRAINS:
        return int(asked)
    if query.get("autoadjusttimegrain", "").lower() == "true":
        return min(GRAINS, key=lambda grain: (grain < asked, abs(grain - asked)))
    raise bad(
        f"Invalid time grain duration: {text}, supported ones are: "
        f"{','.join(GRAINS.values())} and FULL"
    )


def _aggregations(text: str) -> tuple[str, ...] | None:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if not names or names == ["none"]:
        return None
    found = {name.lower(): name for name in AGGREGATIONS}
    for name in names:
        if name not in found:
            raise bad(
                f"Invalid aggregation type: {name}, supported ones are: {', '.join(AGGREGATIONS)}"
            )
    return tuple(dict.fromkeys(found[name] for name in names))


def _top(text: str) -> int:
    if not text:
        return 10
    try:
        top = int(text)
    except ValueError:
        top = 0
    if top < 1:
        raise bad(f"'{text}' is not a number of series for top; it is 1 or more.")
    return top


def _order(text: str) -> tuple[str, bool] | None:
    words = unquote(text).split()
    if not words:
        return None
    names = {"sum": "Total", **{name.lower(): name for name in AGGREGATIONS}}
    if words[0].lower() not in names or len(words) > 2 or words[-1:] == []:
        raise bad(f"'{text}' is not an order: write it as 'sum asc' or 'maximum desc'.")
    return names[words[0].lower()], words[-1].lower() == "desc"


def read_filter(text: str) -> Split:
    """A metrics `$filter`: dimensions joined by `and`; values of one of them by `or`.

    Raises:
        ArmError: 400; it is not of this form.
    """
    terms: dict[tuple[str, str], list[str]] = {}
    names: dict[str, str] = {}
    at = 0
    while True:
        match = _TERM.match(text, at)
        if match is None:
            raise bad(
                f"The filter is not right at position {at + 1}: '{text[at : at + 40]}'. It is "
                "written as EntityName eq 'results' or EntityName eq '*'.",
                "InvalidFilter",
            )
        name, operator, value = match[1].strip(), match[2].lower(), match[3].replace("''", "'")
        name, value = unquote(unquote(name)), unquote(unquote(value)) if "%" in value else value
        operator = "sw" if operator == "startswith" else operator
        names.setdefault(name.lower(), name)
        terms.setdefault((name.lower(), operator), []).append(value.lower())
        at = match.end()
        if match[4] is None:
            break
    if text[at:].strip():
        raise bad(f"The filter goes on after its end: '{text[at : at + 40]}'.", "InvalidFilter")
    return Split(
        tuple((name, operator, tuple(values)) for (name, operator), values in terms.items()),
        tuple(names.values()),
    )
