"""$filter and paging."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.filters import compile_filter
from orchestrator.localcloud.arm.paging import page

ITEM = {
    "id": "/subscriptions/s/resourceGroups/Demo/providers/Microsoft.App/jobs/sender",
    "name": "sender",
    "type": "Microsoft.App/jobs",
    "location": "westeurope",
    "tags": {"team": "blue"},
    "properties": {
        "status": "Running",
        "startTime": "2026-03-01T10:00:00.0000000Z",
        "count": 7,
        "ready": True,
    },
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("resourceType eq 'microsoft.app/JOBS'", True),
        ("resourceType ne 'Microsoft.App/jobs'", False),
        ("resourceGroup eq 'demo'", True),
        ("name eq 'sender' and location eq 'northeurope'", False),
        ("name eq 'x' or location eq 'westeurope'", True),
        ("name eq 'x' or name eq 'y' and location eq 'westeurope'", False),
        ("not (name eq 'x')", True),
        ("startswith(name, 'SEN')", True),
        ("substringof('end', name)", True),
        ("contains(properties/status, 'unn')", True),
        ("properties/status eq 'Running'", True),
        ("status eq 'Running'", True),
        ("startTime ge 2026-03-01T09:00:00Z", True),
        ("startTime gt '2026-03-01T11:00:00+00:00'", False),
        ("startTime lt 2026-03-01T12:00:00+01:00", True),
        ("properties/count gt 6.5", True),
        ("properties/ready eq true", True),
        ("nothing eq 'x'", False),
        ("nothing ne 'x'", True),
        ("nothing eq null", True),
        ("properties/status gt 5", False),
        ("atScope()", True),
        ("atExactScope()", True),
        ("tags/team eq 'Blue'", True),
        ("name eq 'it''s'", False),
    ],
)
def test_a_filter_keeps_what_it_says(text: str, wanted: bool) -> None:
    assert compile_filter(text)(ITEM) is wanted


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("name", 5),
        ("name eq", 8),
        ("name like 'x'", 6),
        ("name eq 'x' and", 16),
        ("(name eq 'x'", 13),
        ("name eq 'x' name eq 'y'", 13),
        ("frobnicate(name)", 1),
        ("name eq 'x", 8),
        ("name eq §", 8),
        ("(" * 60 + "name eq 'x'", 51),
    ],
)
def test_a_filter_that_cannot_be_read_names_the_position(text: str, position: int) -> None:
    with pytest.raises(ArmError) as caught:
        compile_filter(text)
    assert (caught.value.status, caught.value.code) == (400, "InvalidFilterInQueryString")
    assert f"position {position}:" in caught.value.message


def _items(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": f"/x/{number}"} for number in range(start, start + count)]


def _walk(pages: Any) -> list[str]:
    seen: list[str] = []
    query: dict[str, str] = {"api-version": "1"}
    for items in pages:
        body = page(items, link="https://here/list", query=query, size=10)
        seen += [item["id"] for item in body["value"]]
        if "nextLink" not in body:
            return seen
        query = {k: v[0] for k, v in parse_qs(urlsplit(body["nextLink"]).query).items()}
        assert query["api-version"] == "1"
    raise AssertionError("there was a further page")


def test_pages_give_every_item_once() -> None:
    assert _walk([_items(25)] * 3) == [item["id"] for item in _items(25)]


def test_what_is_inserted_before_a_page_is_not_seen_twice() -> None:
    first, then = _items(20, start=5), _items(25)
    assert _walk([first, then]) == [item["id"] for item in _items(20, start=5)]


def test_what_vanishes_while_paging_hides_nothing() -> None:
    all_items = _items(20)
    rest = [item for item in all_items if item["id"] != "/x/3"]
    assert _walk([all_items, rest]) == [item["id"] for item in all_items]


def test_a_full_last_page_has_no_link() -> None:
    assert "nextLink" not in page(_items(10), link="https://here", query={}, size=10)


def test_top_and_skip_cut_the_list() -> None:
    body = page(_items(30), link="https://here", query={"$top": "5", "$skip": "2"})
    assert [item["id"] for item in body["value"]] == [f"/x/{n}" for n in range(2, 7)]
    assert "nextLink" not in body


def test_where_top_is_the_size_of_a_page_the_list_goes_on() -> None:
    query, seen, pages = {"$top": "4", "api-version": "1"}, [], 0
    while True:
        body = page(_items(10), link="https://here", query=query, top_is_page=True)
        seen += [item["id"] for item in body["value"]]
        pages += 1
        if "nextLink" not in body:
            break
        query = {k: v[0] for k, v in parse_qs(urlsplit(body["nextLink"]).query).items()}
    assert seen == [item["id"] for item in _items(10)]
    assert pages == 3


@pytest.mark.parametrize("query", [{"$top": "x"}, {"$skip": "-1"}, {"$skiptoken": "!"}])
def test_bad_paging_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(ArmError) as caught:
        page(_items(3), link="https://here", query=query)
    assert caught.value.status == 400
