"""Private DNS zones: record sets of every type, the SOA record, entity tags."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.network.networks import Network
from tests.unit.arm.world import GROUP, World, world

ZONE = f"{GROUP}/providers/Microsoft.Network/privateDnsZones/Lab.example"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, Network()) as made:
        await made.group()
        await made.put(ZONE, {"location": "global"})
        yield made


def a(*addresses: str, ttl: int = 300) -> dict[str, Any]:
    return {"properties": {"ttl": ttl, "aRecords": [{"ipv4Address": it} for it in addresses]}}


async def test_record_sets_are_listed_together_and_know_their_names(arm: World) -> None:
    made = await arm.ask("PUT", f"{ZONE}/A/www", a("10.0.0.1"))
    assert (made.status, "Azure-AsyncOperation" in made.headers) == (201, False)
    assert made.body["properties"]["fqdn"] == "www.lab.example."
    assert made.body["properties"]["isAutoRegistered"] is False
    await arm.put(f"{ZONE}/TXT/@", {"properties": {"ttl": 5, "txtRecords": [{"value": ["x"]}]}})
    listed = (await arm.get(f"{ZONE}/ALL"))["value"]
    assert [(it["name"], it["type"].rpartition("/")[2]) for it in listed] == [
        ("www", "A"),
        ("@", "SOA"),
        ("@", "TXT"),
    ]
    assert listed[-1]["properties"]["fqdn"] == "lab.example."
    some = (await arm.get(f"{ZONE}/ALL?$recordsetnamesuffix=ww"))["value"]
    assert [it["name"] for it in some] == ["www"]
    assert (await arm.get(ZONE))["properties"]["numberOfRecordSets"] == 3


async def test_the_soa_record_is_there_changed_and_never_gone(arm: World) -> None:
    soa = await arm.get(f"{ZONE}/SOA/@")
    assert soa["properties"]["soaRecord"]["host"] == "azureprivatedns.net"
    soa["properties"]["soaRecord"]["refreshTime"] = 60
    assert (await arm.ask("PUT", f"{ZONE}/SOA/@", soa)).status == 200
    assert (await arm.get(f"{ZONE}/SOA/@"))["properties"]["soaRecord"]["refreshTime"] == 60
    assert (await arm.get(ZONE))["properties"]["numberOfRecordSets"] == 1
    with pytest.raises(ArmError, match="cannot be deleted"):
        await arm.ask("DELETE", f"{ZONE}/SOA/@")
    await arm.ask("DELETE", ZONE)


async def test_the_soa_record_is_patched_before_anybody_wrote_it(arm: World) -> None:
    soa = f"{ZONE}/SOA/@"
    patched = await arm.ask("PATCH", soa, {"properties": {"soaRecord": {"refreshTime": 60}}})
    assert patched.status == 200
    record = (await arm.get(soa))["properties"]["soaRecord"]
    assert (record["refreshTime"], record["host"]) == (60, "azureprivatedns.net")
    assert (await arm.ask("PATCH", soa, {"properties": {"ttl": 9}})).body["properties"]["ttl"] == 9
    with pytest.raises(ArmError, match="has the name '@'"):
        await arm.put(f"{ZONE}/SOA/www", {"properties": {}})
    assert len((await arm.get(f"{ZONE}/SOA"))["value"]) == 1


async def test_a_change_asks_for_the_tag_that_the_body_shows(arm: World) -> None:
    first = await arm.put(f"{ZONE}/A/www", a("10.0.0.1"))
    second = await arm.put(f"{ZONE}/A/www", a("10.0.0.2"))
    assert first["etag"] != second["etag"]
    with pytest.raises(ArmError) as caught:
        await arm.ask("PUT", f"{ZONE}/A/www", a("10.0.0.3"), {"if-match": first["etag"]})
    assert caught.value.status == 412
    await arm.ask("PUT", f"{ZONE}/A/www", a("10.0.0.3"), {"if-match": second["etag"]})
    zone = await arm.get(ZONE)
    with pytest.raises(ArmError):
        await arm.ask("PUT", ZONE, {"location": "global"}, {"if-none-match": "*"})
    assert (await arm.get(ZONE))["etag"] == zone["etag"]


@pytest.mark.parametrize("properties", [{"ttl": 0}, {"ttl": "5s"}, {"txtRecords": []}])
async def test_a_record_set_of_another_shape_is_refused(
    arm: World, properties: dict[str, Any]
) -> None:
    with pytest.raises(ArmError) as caught:
        await arm.put(f"{ZONE}/A/www", {"properties": properties})
    assert caught.value.status == 400


async def test_numbers_may_be_written_as_texts(arm: World) -> None:
    made = await arm.put(f"{ZONE}/A/www", {"properties": {"ttl": "3600", "aRecords": []}})
    assert made["properties"]["ttl"] == 3600
    mail = {"ttl": 5, "mxRecords": [{"preference": "10", "exchange": "1"}]}
    made = await arm.put(f"{ZONE}/MX/@", {"properties": mail})
    assert made["properties"]["mxRecords"] == [{"preference": 10, "exchange": "1"}]
    with pytest.raises(ArmError):
        await arm.put(f"{ZONE}/A/www", {"properties": {"ttl": "-1", "aRecords": []}})


@pytest.mark.parametrize(
    ("kind", "record"),
    [
        ("A", {"aRecords": [{"ipv4Address": "x"}]}),
        ("A", {"aRecords": [{"ipv4Address": "::1"}]}),
        ("A", {"aRecords": [{"ipv4Address": 7}]}),
        ("AAAA", {"aaaaRecords": [{"ipv6Address": "1.2.3.4"}]}),
        ("A", {"aRecords": 1.5}),
        ("A", {"aRecords": ["1.2.3.4"]}),
        ("CNAME", {"cnameRecord": []}),
    ],
)
async def test_records_are_of_their_kind(arm: World, kind: str, record: Any) -> None:
    with pytest.raises(ArmError) as caught:
        await arm.put(f"{ZONE}/{kind}/www", {"properties": {"ttl": 5, **record}})
    assert (caught.value.status, caught.value.code) == (400, "BadRequest")


def network(name: str) -> str:
    return f"{GROUP}/providers/Microsoft.Network/virtualNetworks/{name}"


def link(to: str, *, registers: bool = False) -> dict[str, Any]:
    inner = {"virtualNetwork": {"id": network(to)}, "registrationEnabled": registers}
    return {"location": "global", "properties": inner}


async def networks(arm: World, *names: str) -> None:
    for name in names:
        space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
        await arm.put(network(name), {"location": "westeurope", "properties": space})


async def test_a_network_has_one_link_to_a_zone(arm: World) -> None:
    await networks(arm, "one", "two")
    links = f"{ZONE}/virtualNetworkLinks"
    await arm.put(f"{links}/a", link("one"))
    await arm.put(f"{links}/a", link("one"))
    with pytest.raises(ArmError, match="is already linked to the") as refused:
        await arm.put(f"{links}/b", link("ONE"))
    assert (refused.value.code, refused.value.status) == ("Conflict", 409)
    await arm.put(f"{links}/b", link("two", registers=True))
    properties = (await arm.get(ZONE))["properties"]
    assert properties["numberOfVirtualNetworkLinks"] == 2
    assert properties["numberOfVirtualNetworkLinksWithRegistration"] == 1


async def test_a_network_is_linked_to_one_zone_of_a_name(arm: World) -> None:
    await networks(arm, "one")
    await arm.group("other")
    other = ZONE.replace("/g/", "/other/").lower()
    await arm.put(other, {"location": "global"})
    await arm.put(f"{ZONE}/virtualNetworkLinks/a", link("one"))
    with pytest.raises(ArmError, match="multiple zones with overlapping namespaces") as refused:
        await arm.put(f"{other}/virtualNetworkLinks/a", link("one"))
    assert (refused.value.code, refused.value.status) == ("BadRequest", 400)


async def test_a_network_registers_in_one_zone(arm: World) -> None:
    await networks(arm, "one")
    other = ZONE.replace("Lab", "other")
    await arm.put(other, {"location": "global"})
    await arm.put(f"{ZONE}/virtualNetworkLinks/a", link("one", registers=True))
    await arm.put(f"{other}/virtualNetworkLinks/a", link("one"))
    change = {"properties": {"registrationEnabled": True}}
    with pytest.raises(ArmError, match="only be linked to 1 Private DNS") as refused:
        await arm.ask("PATCH", f"{other}/virtualNetworkLinks/a", change)
    assert refused.value.status == 409
    await arm.ask("PATCH", f"{ZONE}/virtualNetworkLinks/a", {"properties": change["properties"]})


async def test_links_asked_for_at_once_are_not_both_given(arm: World) -> None:
    await networks(arm, "one")
    zones = [ZONE, *(ZONE.replace("Lab", f"zone{n}") for n in range(5))]
    for zone in zones[1:]:
        await arm.put(zone, {"location": "global"})
    wanted = link("one", registers=True)
    asked = [arm.ask("PUT", f"{zone}/virtualNetworkLinks/a", wanted) for zone in zones]
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [getattr(it, "status", it) for it in found].count(409) == len(zones) - 1


async def test_links_go_with_their_network(arm: World) -> None:
    await networks(arm, "one", "two")
    links = f"{ZONE}/virtualNetworkLinks"
    await arm.put(f"{links}/a", link("one"))
    await arm.put(f"{links}/b", link("two"))
    await arm.ask("DELETE", network("one"))
    assert [it["name"] for it in (await arm.get(links))["value"]] == ["b"]
