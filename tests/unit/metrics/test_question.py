"""A metrics `$filter`, and what a question makes of a query string."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.metrics.question import read_filter, read_question

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
BUS = "microsoft.servicebus/Namespaces"


@pytest.mark.parametrize(
    ("text", "kept", "dropped"),
    [
        ("EntityName eq 'a'", ["a", "A"], ["b"]),
        ("EntityName eq '*'", ["a", "b"], []),
        ("EntityName eq 'a' or EntityName eq 'b'", ["a", "b"], ["c"]),
        ("EntityName ne 'a' and EntityName ne 'b'", ["c"], ["a", "b"]),
        ("EntityName sw 'ab'", ["abc"], ["bab"]),
        ("(EntityName eq 'it''s')", ["it's"], ["its"]),
        ("entityname eq 'x and y'", ["x and y"], ["x"]),
    ],
)
def test_a_filter_keeps_what_it_says(text: str, kept: list[str], dropped: list[str]) -> None:
    split = read_filter(text)
    assert [name.lower() for name in split.names] == ["entityname"]
    assert all(split.keeps({"entityname": value}) for value in kept)
    assert not any(split.keeps({"entityname": value}) for value in dropped)


def test_dimensions_are_joined_by_and_and_values_by_or() -> None:
    split = read_filter("A eq 'a1' and B eq 'b1' or B eq 'b2' and C eq '*'")
    assert split.names == ("A", "B", "C")
    assert split.keeps({"a": "a1", "b": "b2", "c": "anything"})
    assert not split.keeps({"a": "a1", "b": "b3", "c": "anything"})


@pytest.mark.parametrize("text", ["EntityName", "EntityName eq a", "EntityName eq 'a' or", "'a'"])
def test_a_filter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ArmError, match="position"):
        read_filter(text)


@pytest.mark.parametrize("grain", ["PT1H", "PT60M", "pt3600s"])
def test_a_grain_may_be_written_in_any_way(grain: str) -> None:
    question = read_question(BUS, {"interval": grain.upper(), "timespan": "PT3H"}, NOW)
    assert question.interval == "PT1H"
    assert question.first % 60 == 0


def test_too_many_points_are_refused_and_a_grain_can_adjust_itself() -> None:
    asked = {"timespan": "P93D", "interval": "PT1M", "metricnames": "Size"}
    with pytest.raises(ArmError, match="longer interval"):
        read_question(BUS, asked, NOW)
    adjusted = read_question(BUS, asked | {"interval": "PT45M", "autoadjusttimegrain": "true"}, NOW)
    assert adjusted.interval == "PT1H"


NAMES = (
    "timespan", "interval", "metricnames", "aggregation", "$filter", "top", "orderby", "rollupby",
    "metricnamespace", "resulttype", "starttime", "endtime", "autoadjusttimegrain",
)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(
                ["PT1H", "FULL", "Size", "EntityName eq '*'", "3", "sum desc", "P9999D"]
            ),
        ),
        max_size=5,
    )
)
@settings(max_examples=120)
def test_any_question_is_understood_or_refused(asked: dict[str, str]) -> None:
    refused: ArmError | None = None
    try:
        question = read_question(BUS, asked, NOW)
    except ArmError as error:
        refused = error
    else:
        assert question.first <= question.last
    assert refused is None or (refused.status == 400 and refused.message)
