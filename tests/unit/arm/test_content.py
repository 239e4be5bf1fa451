"""Bodies: what is read, stripped and merged."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.arm.content import merge, parse, strip_nulls
from orchestrator.localcloud.arm.errors import ArmError

# The examples of RFC 7396, appendix A; nulls inside arrays' objects are dropped as well here.
RFC_7396 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(("target", "patch", "wanted"), RFC_7396)
def test_merging_follows_rfc_7396(target: Any, patch: Any, wanted: Any) -> None:
    assert merge(target, patch) == wanted


@given(values, values)
def test_merging_twice_is_merging_once(target: Any, patch: Any) -> None:
    once = merge(target, patch)
    assert merge(once, patch) == once


@given(values)
def test_nothing_stripped_of_nulls_has_one_in_an_object(value: Any) -> None:
    def check(inner: Any) -> None:
        if isinstance(inner, dict):
            assert None not in inner.values()
            for item in inner.values():
                check(item)
        elif isinstance(inner, list):
            for item in inner:
                check(item)

    check(strip_nulls(value))


def test_an_empty_body_is_none_and_a_byte_order_mark_is_no_error() -> None:
    assert parse(b"  \n") is None
    assert parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b'{"a": }', "line 1, column 7"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5000, "could not be deserialized"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(raw: bytes, wanted: str) -> None:
    with pytest.raises(ArmError) as caught:
        parse(raw)
    assert (caught.value.status, caught.value.code) == (400, "InvalidRequestContent")
    assert wanted in caught.value.message
