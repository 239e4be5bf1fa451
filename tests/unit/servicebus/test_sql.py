"""The SQL of rules: against tables, against a small reference, and against any text at all."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.servicebus.content import MessageContent
from orchestrator.localcloud.servicebus.topics.sql.parser import parse_action, parse_filter
from orchestrator.localcloud.servicebus.topics.sql.tokens import SqlError
from orchestrator.localcloud.servicebus.topics.sql.values import EvaluationError

MESSAGE = MessageContent(
    {"Label": "red", "MessageId": "m", "CorrelationId": None},
    {
        "n": 3,
        "big": t.ULong(2**63),
        "f": 1.5,
        "s": "it's 50%_off",
        "b": True,
        "null": None,
        "two words": "x",
        "id": UUID(int=7),
        "raw": b"\x00",
        "Case": 1,
        "]": 2,
    },
)


def answer(text: str, message: MessageContent = MESSAGE, **parameters: Any) -> Any:
    return parse_filter(text).evaluate(message, {f"@{k}": v for k, v in parameters.items()})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("n = 3", True),
        ("n <> 3", False),
        ("n != 4 AND n >= 3 AND n <= 3", True),
        ("3.0 = n", True),
        ("n + 1 * 2 = 5", True),
        ("(n + 1) * 2 = 8", True),
        ("7 / 2 = 3 AND -7 / 2 = -3 AND -7 % 2 = -1", True),
        ("7.0 / 2 = 3.5", True),
        ("1E2 = 100", True),
        (".5 + .5 = 1", True),
        ("- - n = 3", True),
        ("big > 9223372036854775807", True),
        ("f * 2 = n", True),
        ("sys.Label = 'red'", True),
        ("SYS.label = 'RED'", False),
        ("sys.Subject = 'red'", True),
        ("user.n = 3", True),
        ("case = 1 AND CASE = 1", True),
        ("[two words] = 'x' AND \"two words\" = 'x'", True),
        ("[]]] = 2", True),
        ("s = 'it''s 50%_off'", True),
        ("s LIKE 'it%'", True),
        ("s LIKE '%50!%!_off' ESCAPE '!'", True),
        ("s LIKE '%50!%off' ESCAPE '!'", False),
        ("s NOT LIKE '_'", True),
        ("s LIKE ''", False),
        ("n LIKE '3'", None),
        ("n IN (1, 2, 3)", True),
        ("n NOT IN (1, 2)", True),
        ("n IN ('3')", None),
        ("missing IN (1)", None),
        ("missing = 1", None),
        ("NOT missing = 1", None),
        ("missing = 1 OR n = 3", True),
        ("missing = 1 AND n = 4", False),
        ("missing + 1 = 2", None),
        ("missing IS NULL AND NULL IS NULL AND n IS NOT NULL", True),
        ("missing IS NULL AND [null] IS NULL AND n IS NOT NULL", True),
        ("EXISTS(n) AND EXISTS([null]) AND NOT EXISTS(missing)", True),
        ("EXISTS(sys.Label) AND NOT EXISTS(sys.CorrelationId)", True),
        ("s = 3", None),
        ("b = TRUE AND b <> FALSE", True),
        ("b > FALSE", None),
        ("b = 1", None),
        ("b", True),
        ("NOT (b AND n = 4)", True),
        ("property('n') = 3 AND p('sys.Label') = 'red'", True),
        ("newid() <> newid()", True),
        ("n = @p", True),
        ("1=1", True),
        ("'b' > 'a'", True),
        ("NOT NOT n = 3", True),
        ("n = 3 OR n = 4 AND n = 5", True),
        ("n / 0 = 1", EvaluationError),
        ("s LIKE 'a' ESCAPE 'ab'", EvaluationError),
        ("n = @q", EvaluationError),
        ("", SqlError),
        ("n =", SqlError),
        ("n = 3 n", SqlError),
        ("(n = 3", SqlError),
        ("n = 'open", SqlError),
        ("sys.Nothing = 1", SqlError),
        ("other.n = 1", SqlError),
        ("n NOT 3", SqlError),
        ("n IN ()", SqlError),
        ("n = 3;", SqlError),
        ("12abc = 1", SqlError),
        ("(" * 40 + "n = 3" + ")" * 40, SqlError),
        ("n = 3 AND " * 120 + "n = 3", SqlError),
        (" + ".join(["1"] * 250) + " = 250", True),
        (" AND ".join(["n=3"] * 120), True),
    ],
)
def test_filters_evaluate_as_the_service_documents(text: str, expected: Any) -> None:
    if isinstance(expected, type):
        with pytest.raises(expected):
            answer(text, p=3)
    else:
        assert answer(text, p=3) is expected


@pytest.mark.parametrize(
    "text",
    [
        "SET",
        "SET n",
        "SET n = ",
        "REMOVE",
        "SET sys.EnqueuedTimeUtc = 1",
        "REMOVE sys.SequenceNumber",
        "SET n = 1, SET m = 2",
        "UPDATE n = 1",
        ";".join(["SET n = 1"] * 33),
    ],
)
def test_actions_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(SqlError):
        parse_action(text)


# A reference: terms as (text, value) pairs whose value is computed beside the text.

Term = tuple[str, Any]
NAMES = {"a": 1, "b": 0, "c": -4, "gone": None}
NUMBERS = st.integers(-9, 9).map(lambda n: (str(n) if n >= 0 else f"({n})", n))
PROPERTIES = st.sampled_from(sorted(NAMES)).map(lambda name: (name, NAMES[name]))
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda x, y: x == y,
    "<>": lambda x, y: x != y,
    "<": lambda x, y: x < y,
    ">=": lambda x, y: x >= y,
}
COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
}


def computed(parts: tuple[Term, str, Term]) -> Term:
    (left, x), symbol, (right, y) = parts
    value = None if x is None or y is None else COMPUTE[symbol](x, y)
    return f"({left} {symbol} {right})", value


def compared(parts: tuple[Term, str, Term]) -> Term:
    (left, x), symbol, (right, y) = parts
    return f"{left} {symbol} {right}", None if x is None or y is None else COMPARE[symbol](x, y)


def listed(parts: tuple[Term, list[Term], bool]) -> Term:
    (left, x), items, inverted = parts
    text = f"{left} {'NOT ' if inverted else ''}IN ({', '.join(item for item, _ in items)})"
    if x is None:
        return text, None
    if any(y == x for _, y in items):
        return text, not inverted
    return text, None if any(y is None for _, y in items) else inverted


def joined(parts: tuple[str, list[Term]]) -> Term:
    word, terms = parts
    deciding = word == "OR"
    text = f"({f' {word} '.join(text for text, _ in terms)})"
    values = [value for _, value in terms]
    if deciding in values:
        return text, deciding
    return text, None if None in values else not deciding


EXPRESSIONS = st.recursive(
    NUMBERS | PROPERTIES,
    lambda inner: st.tuples(inner, st.sampled_from(sorted(COMPUTE)), inner).map(computed),
    max_leaves=5,
)
SIMPLE = (
    st.tuples(EXPRESSIONS, st.sampled_from(sorted(COMPARE)), EXPRESSIONS).map(compared)
    | st.tuples(EXPRESSIONS, st.lists(EXPRESSIONS, min_size=1, max_size=3), st.booleans()).map(
        listed
    )
    | EXPRESSIONS.map(lambda e: (f"{e[0]} IS NULL", e[1] is None))
)
PREDICATES = st.recursive(
    SIMPLE,
    lambda inner: (
        st.tuples(st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3)).map(
            joined
        )
        | inner.map(lambda p: (f"NOT ({p[0]})", None if p[1] is None else not p[1]))
    ),
    max_leaves=6,
)


@given(PREDICATES)
def test_filters_agree_with_a_reference(predicate: Term) -> None:
    text, expected = predicate
    message = MessageContent({}, {name: v for name, v in NAMES.items() if v is not None})
    if len(text) <= 1024:
        assert answer(text, message) is expected


@given(st.text("ab%_.*[", max_size=8), st.text("ab%_.*[", max_size=12))
def test_like_agrees_with_a_regular_expression(pattern: str, value: str) -> None:
    parts = {"%": ".*", "_": "."}
    expected = re.fullmatch("".join(parts.get(c, re.escape(c)) for c in pattern), value, re.DOTALL)
    message = MessageContent({}, {"v": value})
    assert answer(f"v LIKE '{pattern}'", message) is (expected is not None)


@given(st.text(max_size=60) | st.text("n sA'=<>()+-*/%.,;@[]\"NOTINLIKE0159e", max_size=60))
def test_any_text_is_a_filter_or_is_refused(text: str) -> None:
    with contextlib.suppress(SqlError):
        parse_action(text)
    with contextlib.suppress(SqlError, EvaluationError):
        parsed = parse_filter(text)
        parsed.evaluate(MESSAGE, dict.fromkeys(parsed.parameters, 1))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.uuids(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.just(t.Timestamp(5)),
)


@given(
    VALUES,
    VALUES,
    st.sampled_from(["+", "-", "*", "/", "%", "=", "<>", "<", "<=", ">", ">=", "LIKE", "IN"]),
)
def test_values_of_all_kinds_meet_without_a_surprise(left: Any, right: Any, word: str) -> None:
    message = MessageContent({}, {"x": left, "y": right})
    text = f"x {word} {'(y)' if word == 'IN' else 'y'}"
    try:
        result = answer(f"({text}) = 1" if word in "+-*/%" else text, message)
    except EvaluationError:
        return
    assert result in (True, False, None)


def test_long_patterns_take_no_exponential_time() -> None:
    message = MessageContent({}, {"v": "a" * 5000})
    assert answer("v LIKE '" + "%a" * 300 + "b'", message) is False
