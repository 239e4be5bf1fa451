"""Where streamed and stored lines of one container meet, also when their times differ."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.following.join import beginning, ending
from orchestrator.following.stream import StreamedLine
from orchestrator.results import LogLine

T0 = 1_790_000_000.0


def streamed(texts: list[str], first: int) -> list[StreamedLine]:
    return [
        StreamedLine(T0 + first + n, "stdout", text, f"{first + n} {text}")
        for n, text in enumerate(texts)
    ]


def stored(texts: list[str], skew: float = 0.0) -> list[LogLine]:
    return [
        LogLine(time=datetime.fromtimestamp(T0 + n + skew, UTC), text=text)
        for n, text in enumerate(texts)
    ]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=40), st.data())
def test_equal_times_join_at_the_very_line_however_alike_the_lines_are(
    texts: list[str], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(texts) - 1))
    assert beginning(streamed(texts[cut:], cut), stored(texts)) == cut
    assert ending(streamed(texts[: cut + 1], 0), stored(texts)) == cut + 1


@given(st.integers(1, 40), st.data(), st.floats(-0.4, 5))
def test_different_lines_join_by_what_they_say_whatever_the_times(
    count: int, data: st.DataObject, skew: float
) -> None:
    texts = [f"line {n}" for n in range(count)]
    cut = data.draw(st.integers(0, count - 1))
    assert beginning(streamed(texts[cut:], cut), stored(texts, skew)) == cut
    assert ending(streamed(texts[: cut + 1], 0), stored(texts, skew)) == cut + 1


def test_a_stream_that_has_more_than_is_stored_joins_by_what_is_there() -> None:
    texts = [f"line {n}" for n in range(30)]
    assert beginning(streamed(texts[10:], 10), stored(texts[:15])) == 10


def test_what_is_not_stored_yet_is_not_found() -> None:
    texts = [f"line {n}" for n in range(30)]
    assert beginning(streamed(texts[20:], 20), stored(texts[:15])) is None
    assert ending(streamed(texts[20:], 20), stored(texts[:15])) == 0
    assert ending([], stored(texts)) == 0
