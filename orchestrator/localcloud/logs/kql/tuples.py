"""Functions that give several columns: `extend (low, at) = series_stats(x)`.

They are written with the function that gives a bag of the same. Rules:
https://learn.microsoft.com/kusto/query/series-stats-function and …/series-fit-line-function.
"""

from __future__ import annotations

from orchestrator.localcloud.logs.errors import semantic_error
from orchestrator.localcloud.logs.kql.tokens import Operator, Tokens, bracketed, listed, written

_FIGURES = ("min", "min_idx", "max", "max_idx", "avg", "stdev", "variance")
_LINE = ("rsquare", "slope", "variance", "rvariance", "interception", "line_fit")
# A function -> the one that gives a bag, its members in the order of the columns.
_TUPLES = {
    "series_stats": ("series_stats_dynamic", _FIGURES),
    "series_fit_line": ("series_fit_line_dynamic", _LINE),
}
_KINDS = {"min_idx": "tolong", "max_idx": "tolong", "line_fit": ""}


def several(query: str, operator: Operator) -> str | None:
    """The operator with a column for each; None where it calls no such function."""
    for one in listed(operator.args):
        if one[0].text == "(" and _names_several(one):
            call = one[len(bracketed(one, 0)) + 3 :]
            if not call or call[0].text not in _TUPLES:
                raise semantic_error(
                    "SEM0001",
                    f"'{operator.word}' (line {one[0].line}, position {one[0].column}): several "
                    "names stand before a function that gives several columns, such as "
                    "series_stats(); name one, and take parts of it by [0], [1]",
                )
    if not any(token.text in _TUPLES for token in operator.args):
        return None
    made: list[str] = []
    for one in listed(operator.args):
        made += _columns(query, one)
    return f"| {operator.word} {', '.join(made)}"


def _names_several(one: Tokens) -> bool:
    """Whether an expression begins with `(a, b) =`."""
    end = len(bracketed(one, 0)) + 2
    return len(one) > end and one[end].text == "=" and len(listed(one[1 : end - 1])) > 1


def _columns(query: str, one: Tokens) -> list[str]:
    names: list[str] = []
    call = one
    if one[0].text == "(":
        inside = bracketed(one, 0)
        names, call = [written(query, name) for name in listed(inside)], one[len(inside) + 3 :]
    elif len(one) > 2 and one[1].text == "=":
        names, call = [one[0].text], one[2:]
    if not call or call[0].text not in _TUPLES:
        return [written(query, one)]
    function, members = _TUPLES[call[0].text]
    arguments = listed(bracketed(call, 1))
    bag = f"{function}({written(query, arguments[0])})"
    stem = f"{call[0].text}_{arguments[0][0].text if len(arguments[0]) == 1 else ''}"
    names += [f"{stem}_{member}" for member in members[len(names) :]]
    return [
        f"{name} = {_KINDS.get(member, 'todouble')}({bag}['{member}'])"
        for name, member in zip(names, members, strict=False)
    ]
