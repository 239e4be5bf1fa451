"""Functions of KQL that duckdb-kql has no SQL for, as rows of its own registry.

Each row is the function's name, its SQL with `{0}`, `{1}` … for the arguments, and how many it
takes, as its page under https://learn.microsoft.com/kusto/query/ documents it. A function whose
SQL depends on how many arguments it is given has a row for each; `form_of` names the row of a call.
A `dynamic` is DuckDB's JSON. Lists keep the order in which their elements come first.
"""

from __future__ import annotations

from duckdb_kql.translate.functions import AGGREGATE_FUNCTIONS, SCALAR_FUNCTIONS, FunctionSpec

from orchestrator.localcloud.logs.kql.functions import (
    addresses,
    aggregates,
    arrays,
    bags,
    numbers,
    rows,
    series,
    texts,
    times,
)

_SUBJECTS = (addresses, arrays, bags, numbers, rows, series, texts, times)

_forms: dict[tuple[str, int], str] = {}

COUNTS: dict[str, tuple[int, ...]] = {}
"""Name of a function that has several forms -> the counts of arguments that it takes."""


def form_of(name: str, count: int) -> str | None:
    """The row's name under which this call's SQL stands, if it is not the function's own."""
    return _forms.get((name, count))


def register() -> None:
    """Make these functions known to the translator; what it knows itself stays as it is,
    but `texts.OWN` and `aggregates.OWN`."""
    for name, template, counts in texts.OWN:
        SCALAR_FUNCTIONS[name] = FunctionSpec(name, "template", template, counts)
    for subject in _SUBJECTS:
        for name, template, counts in subject.SCALARS:
            spec = SCALAR_FUNCTIONS.get(name)
            if spec is None:
                SCALAR_FUNCTIONS[name] = FunctionSpec(name, "template", template, counts)
            elif counts and not set(counts) <= set(spec.arities):
                for count in counts:
                    form = f"__local_{name}_{count}"
                    _forms[name, count] = form
                    SCALAR_FUNCTIONS[form] = FunctionSpec(form, "template", template, counts)
                COUNTS[name] = tuple(sorted({*COUNTS.get(name, spec.arities), *counts}))
    for aggregate in aggregates.AGGREGATES:
        AGGREGATE_FUNCTIONS.setdefault(aggregate.name, aggregate)
    for aggregate in aggregates.OWN:
        AGGREGATE_FUNCTIONS[aggregate.name] = aggregate
