"""Bytes to lines: none lost, however they arrive."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.runtime.lines import PIECE, LineSplitter


def split(*chunks: bytes) -> list[str]:
    lines: list[str] = []
    splitter = LineSplitter(lines.append)
    for chunk in chunks:
        splitter.feed(chunk)
    splitter.close()
    return lines


def test_a_line_may_arrive_in_parts() -> None:
    assert split(b"hel", b"lo\nwo", b"rld\n") == ["hello", "world"]


def test_a_last_line_without_an_end_is_kept() -> None:
    assert split(b"one\ntwo") == ["one", "two"]


def test_empty_lines_are_lines() -> None:
    assert split(b"\n\n", b"a\n\n") == ["", "", "a", ""]


def test_a_carriage_return_before_the_line_feed_is_the_line_end() -> None:
    assert split(b"one\r\ntwo\r", b"\n50%\r100%\n") == ["one", "two", "50%\r100%"]


def test_what_is_not_utf8_is_replaced() -> None:
    assert split(b"caf\xe9\n\xff\xfe\nok\n") == ["caf\ufffd", "\ufffd\ufffd", "ok"]


def test_a_character_cut_by_the_pipe_is_whole_again() -> None:
    raw = "Größe €\n".encode()
    assert split(*(raw[i : i + 1] for i in range(len(raw)))) == ["Größe €"]


def test_a_long_line_is_cut_in_pieces_between_characters() -> None:
    text = "€" * 20_000
    pieces = split((text + "\n").encode())
    assert "".join(pieces) == text
    assert all(PIECE - 3 <= len(piece.encode()) <= PIECE for piece in pieces[:-1])


def test_a_long_line_is_delivered_before_it_ends() -> None:
    lines: list[str] = []
    splitter = LineSplitter(lines.append)
    splitter.feed(b"x" * (3 * PIECE))
    assert len(lines) == 2
    splitter.feed(b"\n")
    assert len(lines) == 3
    assert "".join(lines) == "x" * (3 * PIECE)


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_how_the_bytes_arrive_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    borders = sorted({0, len(data), *(c for c in cuts if c < len(data))})
    chunks = [data[a:b] for a, b in pairwise(borders)]
    assert split(*chunks) == split(data)


@given(
    lines=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))),
    size=st.integers(1, 50),
)
def test_every_line_written_is_every_line_read(lines: list[str], size: int) -> None:
    raw = "".join(line + "\n" for line in lines).encode()
    assert split(*(raw[i : i + size] for i in range(0, len(raw), size))) == lines
