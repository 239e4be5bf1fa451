"""PUT, PATCH, GET, DELETE of any type, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.provider import (
    JSON,
    Answer,
    Call,
    Handler,
    Provider,
    Reply,
    ResourceType,
)
from tests.unit.arm.world import GROUP, SUBSCRIPTION, THINGS, World, world


class Box(ResourceType):
    """A type that writes down which hooks were called."""

    type: ClassVar[str] = "Microsoft.Portal/boxes"
    tracked: ClassVar[bool] = True
    delete_status: ClassVar[int] = 202

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.refuse: str = ""

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        self.seen.append(f"prepare {'new' if old is None else 'old'}")
        if resource["properties"].get("bad"):
            raise ArmError("Bad", "It is bad.", target="properties.bad")
        return resource

    async def apply(self, call: Call, resource: JSON, old: JSON | None) -> None:
        self.seen.append("apply")

    async def changed(self, call: Call, resource: JSON, old: JSON | None) -> None:
        self.seen.append("changed")
        raise RuntimeError("a hook that must not fail, fails")

    async def show(self, call: Call, resource: JSON) -> JSON:
        resource["properties"].pop("secret", None)
        return resource

    async def deleting(self, call: Call, resource: JSON) -> None:
        self.seen.append(f"deleting {resource['name']}")
        if self.refuse == resource["name"]:
            raise ArmError("Refused", "It stays.", 409)

    async def deleted(self, call: Call, resource: JSON) -> None:
        self.seen.append(f"deleted {resource['name']}")

    def actions(self) -> Mapping[str, Handler]:
        return {"open": self._open, "take/{}": self._take}

    async def _open(self, call: Call) -> Answer:
        return {"opened": call.id.name}

    async def _take(self, call: Call) -> Answer:
        return {"taken": call.arguments[0]}


class Lab(Provider):
    """The provider of boxes."""

    namespace: ClassVar[str] = "Microsoft.Portal"

    def __init__(self) -> None:
        self.box = Box()

    def types(self) -> list[ResourceType]:
        return [self.box]


BOXES = f"{GROUP}/providers/Microsoft.Portal/boxes"


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
async def here(tmp_path: Path, lab: Lab) -> AsyncIterator[World]:
    async with world(tmp_path, lab) as made:
        await made.group()
        yield made


async def refused(work: Any) -> ArmError:
    with pytest.raises(ArmError) as caught:
        await work
    return caught.value


# ------------------------------------------------------------------- generic ----


async def test_any_type_can_be_put_read_listed_and_deleted(here: World) -> None:
    reply = await here.ask("PUT", f"{THINGS}/a", {"location": "West Europe", "tags": {"x": "y"}})
    assert reply.status == 200
    body = await here.get(f"{THINGS.lower()}/A")
    assert body["id"] == f"{THINGS}/a"
    assert (body["name"], body["type"], body["location"]) == (
        "a",
        "Microsoft.Portal/dashboards",
        "westeurope",
    )
    assert body["properties"] == {"provisioningState": "Succeeded"}
    assert body["systemData"]["createdBy"] == "someone"
    assert [item["name"] for item in (await here.get(THINGS))["value"]] == ["a"]
    listed = await here.get(f"/subscriptions/{SUBSCRIPTION}/providers/microsoft.portal/dashboards")
    assert len(listed["value"]) == 1
    assert (await here.ask("HEAD", f"{THINGS}/a")).status == 204
    assert (await here.ask("DELETE", f"{THINGS}/a")).status == 204
    assert (await refused(here.get(f"{THINGS}/a"))).code == "ResourceNotFound"


@pytest.mark.parametrize(
    ("kind", "put", "delete"),
    [
        # As the specifications list them; a client that is made of them takes nothing else.
        ("Microsoft.Insights/components", 200, 204),
        ("Microsoft.EventGrid/topics", 201, 204),
        ("Microsoft.OperationsManagement/solutions", 201, 200),
        ("Microsoft.DBforPostgreSQL/flexibleServers", 202, 204),
        ("Microsoft.Web/staticSites", 200, 200),
        ("Microsoft.Automation/automationAccounts", 200, 204),
    ],
)
async def test_a_type_nobody_knows_answers_with_the_statuses_of_its_service(
    here: World, kind: str, put: int, delete: int
) -> None:
    path = f"{GROUP}/providers/{kind}/a"
    for _ in range(2):
        reply = await here.ask("PUT", path, {"location": "westeurope"})
        assert reply.status == put
        assert ("Azure-AsyncOperation" in reply.headers) == (put != 200)
    assert (await here.ask("PATCH", path, {"tags": {}})).status == 200
    assert (await here.ask("DELETE", path)).status == delete
    assert (await here.ask("DELETE", path)).status == 204


async def test_the_operation_of_a_put_can_be_polled(here: World) -> None:
    path = f"{GROUP}/providers/Microsoft.EventGrid/topics/a"
    reply = await here.ask("PUT", path, {})
    assert reply.headers["Azure-AsyncOperation"].startswith("https://here/subscriptions/")
    assert reply.headers["retry-after-ms"] == "100"
    body = await here.get(reply.headers["Azure-AsyncOperation"].removeprefix("https://here"))
    assert body["status"] == "Succeeded"
    assert body["resourceId"] == path


async def test_an_update_answers_200_and_keeps_id_and_creation(here: World) -> None:
    first = await here.put(f"{THINGS}/a", {"properties": {"n": 1}, "tags": {"x": "y"}})
    await here.clock.advance(60)
    reply = await here.ask("PUT", f"{THINGS}/A".replace("things", "THINGS"), {"properties": {}})
    assert reply.status == 200
    assert "Azure-AsyncOperation" not in reply.headers
    assert reply.body["id"] == first["id"]
    assert "tags" not in reply.body
    assert "n" not in reply.body["properties"]
    old, new = first["systemData"], reply.body["systemData"]
    assert new["createdAt"] == old["createdAt"]
    assert new["lastModifiedAt"] > old["lastModifiedAt"]


async def test_no_null_is_ever_given_back(here: World) -> None:
    body = {"tags": None, "properties": {"env": None, "list": [{"a": None, "b": 1}]}}
    shown = await here.put(f"{THINGS}/a", body)
    assert "tags" not in shown
    assert shown["properties"]["list"] == [{"b": 1}]
    assert "env" not in shown["properties"]


async def test_patch_merges_and_null_removes(here: World) -> None:
    await here.put(f"{THINGS}/a", {"tags": {"x": "1", "y": "2"}, "properties": {"p": {"q": 1}}})
    patch = {"properties": {"p": {"r": 2, "s": None}}, "id": "ignored"}
    body = (await here.ask("PATCH", f"{THINGS}/a", patch)).body
    assert body["tags"] == {"x": "1", "y": "2"}
    assert body["properties"]["p"] == {"q": 1, "r": 2}
    assert body["id"] == f"{THINGS}/a"


async def test_tags_of_a_patch_are_all_tags(here: World) -> None:
    """The example of the resource provider contract: tag1 and tag2 are there, tag3 is sent."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/g"
    for path, whole in ((f"{THINGS}/a", {}), (group, {"location": "westeurope"})):
        await here.put(path, whole | {"tags": {"tag1": "a", "tag2": "b"}})
        body = (await here.ask("PATCH", path, {"tags": {"tag3": "c", "tag4": None}})).body
        assert body["tags"] == {"tag3": "c"}
        assert (await here.ask("PATCH", path, {})).body["tags"] == {"tag3": "c"}


async def test_read_only_members_of_a_body_are_ignored(here: World) -> None:
    body = await here.put(f"{THINGS}/a", {"id": "/x", "name": "y", "type": "z", "systemData": {}})
    assert (body["id"], body["name"], body["type"]) == (
        f"{THINGS}/a",
        "a",
        "Microsoft.Portal/dashboards",
    )


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", f"{THINGS}/no", None, 404, "ResourceNotFound"),
        ("PATCH", f"{THINGS}/no", {}, 404, "ResourceNotFound"),
        ("PUT", f"{THINGS}/a/parts/p", {}, 404, "ParentResourceNotFound"),
        ("GET", f"{THINGS}/no/parts", None, 404, "ParentResourceNotFound"),
        ("GET", f"{THINGS}/no/parts/p", None, 404, "ParentResourceNotFound"),
        ("GET", f"{THINGS}/no/parts/p/bits", None, 404, "ParentResourceNotFound"),
        (
            "GET",
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/no/providers/N.A/b/c/parts/p",
            None,
            404,
            "ResourceGroupNotFound",
        ),
        ("POST", f"{THINGS}/no/poke", None, 404, "ResourceNotFound"),
        ("PUT", f"{THINGS}/no/providers/N.B/notes/n", {}, 404, "ResourceNotFound"),
        (
            "PUT",
            f"/subscriptions/{SUBSCRIPTION}/resourceGroups/no/providers/N.A/b/c",
            {},
            404,
            "ResourceGroupNotFound",
        ),
        ("GET", "/subscriptions/other/resourceGroups/g", None, 404, "SubscriptionNotFound"),
        ("GET", "/nothing/here", None, 404, "NotFound"),
        ("DELETE", f"/subscriptions/{SUBSCRIPTION}/locations", None, 405, "MethodNotAllowed"),
        ("PUT", THINGS, {}, 405, "MethodNotAllowed"),
        ("BREW", f"{THINGS}/a", None, 405, "MethodNotAllowed"),
        ("PUT", f"{THINGS}/a", [1], 400, "InvalidRequestContent"),
        ("PUT", f"{THINGS}/a", {"properties": 1}, 400, "InvalidRequestContent"),
        ("PUT", f"{THINGS}/a", {"location": 1}, 400, "InvalidRequestContent"),
        ("PUT", f"{THINGS}/a", {"tags": {"a": 1}}, 400, "InvalidTagFormat"),
        ("PUT", f"{THINGS}/a", {"tags": {str(n): "" for n in range(51)}}, 400, "TooManyTags"),
        ("PUT", f"{THINGS}/a", {"tags": {"a/b": ""}}, 400, "InvalidTagNameCharacters"),
        ("PUT", f"{THINGS}/a", {"tags": {"a\n": ""}}, 400, "InvalidTagNameCharacters"),
        ("PUT", f"{THINGS}/a", {"tags": {"a" * 513: ""}}, 400, "InvalidTagName"),
        ("PUT", f"{THINGS}/a", {"tags": {"a": "b" * 257}}, 400, "InvalidTagValueLength"),
        ("PUT", f"{THINGS}/a", {"identity": {"type": "Magic"}}, 400, "InvalidIdentityType"),
        ("PUT", f"{BOXES}/a", {}, 400, "LocationRequired"),
    ],
)
async def test_what_is_refused(
    here: World, method: str, path: str, body: Any, status: int, code: str
) -> None:
    error = await refused(here.ask(method, path, body))
    assert (error.status, error.code) == (status, code)
    assert error.body()["error"]["message"]


async def test_a_resource_stays_where_it_is(here: World) -> None:
    await here.put(f"{THINGS}/a", {"location": "westeurope"})
    error = await refused(here.put(f"{THINGS}/a", {"location": "East US"}))
    assert (error.status, error.code) == (409, "InvalidResourceLocation")


async def test_entity_tags_guard_changes(here: World) -> None:
    tag = (await here.ask("PUT", f"{THINGS}/a", {})).headers["ETag"]
    reply = await here.ask("GET", f"{THINGS}/a")
    assert reply.headers["ETag"] == tag
    assert (await here.ask("PUT", f"{THINGS}/a", {}, {"if-match": tag})).status == 200
    for method, headers in [
        ("PUT", {"if-match": tag}),
        ("PATCH", {"if-match": '"other"'}),
        ("DELETE", {"if-match": tag}),
        ("PUT", {"if-none-match": "*"}),
    ]:
        error = await refused(here.ask(method, f"{THINGS}/a", {}, headers))
        assert (error.status, error.code) == (412, "PreconditionFailed")
    error = await refused(here.ask("PUT", f"{THINGS}/new", {}, {"if-match": "*"}))
    assert error.status == 412
    # An empty one names no state: Terraform sends it with every change of a private DNS zone.
    for method in ("PUT", "PATCH"):
        empty = {"if-match": "", "if-none-match": ""}
        assert (await here.ask(method, f"{THINGS}/a", {}, empty)).status == 200
    assert (await here.ask("PUT", f"{THINGS}/fresh", {}, {"if-match": " "})).status == 200
    assert (await here.ask("DELETE", f"{THINGS}/a", None, {"if-match": "*"})).status == 204


# --------------------------------------------------------------------- hooks ----


async def test_hooks_come_in_order_and_a_failing_listener_undoes_nothing(
    here: World, lab: Lab
) -> None:
    body = await here.put(f"{BOXES}/a", {"location": "x", "properties": {"secret": "s", "n": 1}})
    assert lab.box.seen == ["prepare new", "apply", "changed"]
    assert "secret" not in body["properties"]
    stored = here.arm.store.get(f"{BOXES}/a")
    assert stored is not None
    assert stored["properties"]["secret"] == "s"
    lab.box.seen.clear()
    await here.ask("PATCH", f"{BOXES}/a", {"properties": {"n": 2}})
    assert lab.box.seen == ["prepare old", "apply", "changed"]
    stored = here.arm.store.get(f"{BOXES}/a")
    assert stored is not None
    assert stored["properties"]["secret"] == "s"


async def test_what_prepare_refuses_leaves_no_trace(here: World, lab: Lab) -> None:
    error = await refused(here.put(f"{BOXES}/a", {"location": "x", "properties": {"bad": True}}))
    assert (error.code, error.target) == ("Bad", "properties.bad")
    assert lab.box.seen == ["prepare new"]
    assert f"{BOXES}/a" not in here.arm.store


async def test_when_the_disk_is_full_what_apply_did_is_taken_back(here: World, lab: Lab) -> None:
    connection = here.arm.store._connection
    assert connection is not None
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")
    big = {"location": "x", "properties": {"filler": "x" * 200_000}}
    error = await refused(here.put(f"{BOXES}/a", big))
    assert error.status == 507
    assert lab.box.seen == ["prepare new", "apply", "deleting a"]


async def test_a_delete_takes_everything_inside_with_it(here: World, lab: Lab) -> None:
    await here.put(f"{BOXES}/a", {"location": "x"})
    await here.put(f"{BOXES}/a/parts/p")
    await here.put(f"{BOXES}/a/providers/N.B/notes/n")
    reply = await here.ask("DELETE", f"{BOXES}/a")
    assert reply.status == 202
    result = await here.ask("GET", reply.headers["Location"].removeprefix("https://here"))
    assert result.status == 204
    assert here.arm.store.inside(GROUP) == []
    assert lab.box.seen[-2:] == ["deleting a", "deleted a"]


async def test_a_refused_delete_deletes_nothing(here: World, lab: Lab) -> None:
    await here.put(f"{BOXES}/a", {"location": "x"})
    await here.put(f"{BOXES}/a/parts/p")
    lab.box.refuse = "a"
    assert (await refused(here.ask("DELETE", f"{BOXES}/a"))).code == "Refused"
    assert len(here.arm.store.inside(GROUP)) == 2


async def test_actions_are_found_by_any_case_with_and_without_arguments(here: World) -> None:
    await here.put(f"{BOXES}/a", {"location": "x"})
    assert (await here.ask("POST", f"{BOXES}/a/OPEN")).body == {"opened": "a"}
    assert (await here.ask("POST", f"{BOXES}/a/take/Some-Thing")).body == {"taken": "Some-Thing"}
    error = await refused(here.ask("POST", f"{BOXES}/a/close"))
    assert (error.status, error.code) == (404, "NotFound")


async def test_changes_of_one_resource_take_turns(here: World) -> None:
    await here.put(f"{THINGS}/a", {"properties": {}})
    await asyncio.gather(
        *(here.ask("PATCH", f"{THINGS}/a", {"properties": {f"p{n}": "x"}}) for n in range(30))
    )
    # One of them is provisioningState.
    assert len((await here.get(f"{THINGS}/a"))["properties"]) == 31


# ------------------------------------------------------------ resource groups ----


async def test_a_group_is_made_changed_and_checked(here: World) -> None:
    path = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/New"
    assert (await refused(here.ask("HEAD", path))).status == 404
    made = await here.ask("PUT", path, {"location": "West Europe", "tags": {"a": "b"}})
    assert (made.status, made.body["location"]) == (201, "westeurope")
    assert (await here.ask("PUT", path, {"location": "westeurope"})).status == 200
    assert (await here.ask("HEAD", path)).status == 204
    patched = await here.ask("PATCH", path.upper(), {"tags": {"c": "d"}})
    assert patched.body["tags"] == {"c": "d"}
    assert patched.body["id"].endswith("/resourceGroups/New")
    moved = await refused(here.put(path, {"location": "eastus"}))
    assert (moved.status, moved.code) == (409, "InvalidResourceGroupLocation")


@pytest.mark.parametrize("name", ["ends.", "has space", "x" * 91])
async def test_a_group_needs_a_proper_name(here: World, name: str) -> None:
    path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}"
    error = await refused(here.put(path, {"location": "westeurope"}))
    assert (error.status, error.code) == (400, "InvalidResourceGroup")


async def test_deleting_a_group_deletes_its_contents_in_the_background(
    here: World, lab: Lab
) -> None:
    await here.put(f"{BOXES}/a", {"location": "x"})
    await here.put(f"{BOXES}/a/parts/p")
    reply = await here.ask("DELETE", GROUP)
    assert reply.status == 202
    link = reply.headers["Location"].removeprefix("https://here")
    for _ in range(200):
        answer: Reply = await here.ask("GET", link)
        if answer.status != 202:
            break
        await asyncio.sleep(0.01)
    assert answer.status == 204
    assert (await refused(here.get(GROUP))).code == "ResourceGroupNotFound"
    assert "deleted a" in lab.box.seen
    assert here.arm.store.inside(GROUP) == []


async def test_a_group_whose_deletion_is_refused_says_why_and_stays(here: World, lab: Lab) -> None:
    await here.put(f"{BOXES}/a", {"location": "x"})
    lab.box.refuse = "a"
    reply = await here.ask("DELETE", GROUP)
    link = reply.headers["Location"].removeprefix("https://here")
    error = await refused(here.ask("GET", link))
    assert (error.status, error.code, error.message) == (409, "Refused", "It stays.")
    status = link.replace("operationResults", "operationStatuses")
    body = (await here.ask("GET", status)).body
    assert (body["status"], body["error"]["code"]) == ("Failed", "Refused")
    # It can be used and deleted again.
    await here.put(f"{THINGS}/b", {})
    lab.box.refuse = ""
    await here.ask("DELETE", GROUP)
    assert GROUP not in here.arm.store


async def test_a_deletion_that_a_crash_cut_short_goes_on_at_the_next_start(tmp_path: Path) -> None:
    lab = Lab()
    async with world(tmp_path, lab) as before:
        await before.group()
        await before.put(f"{BOXES}/a", {"location": "x"})
        hold = asyncio.Event()

        async def never(call: Call, resource: JSON) -> None:
            await hold.wait()

        lab.box.deleting = never  # type: ignore[method-assign]
        reply = await before.ask("DELETE", GROUP)
        link = reply.headers["Location"].removeprefix("https://here")
        assert (await before.ask("GET", link)).status == 202
        late = await refused(before.put(f"{THINGS}/late", {}))
        assert (late.status, late.code) == (409, "ResourceGroupBeingDeleted")
    async with world(tmp_path, Lab()) as after:
        for _ in range(200):
            answer = await after.ask("GET", link)
            if answer.status != 202:
                break
            await asyncio.sleep(0.01)
        assert answer.status == 204
        assert GROUP not in after.arm.store


# --------------------------------------------------------------- identities ----


async def test_identities_get_ids_and_blocks_are_filled_in(here: World) -> None:
    path = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/jobs"
    made = await here.put(path, {"location": "westeurope"})
    again = await here.put(path, {"location": "westeurope", "tags": {"a": "b"}})
    assert again["properties"] == made["properties"]
    body = await here.put(
        f"{THINGS}/a",
        {
            "identity": {
                "type": "SystemAssigned,UserAssigned",
                "userAssignedIdentities": {path.upper(): {}},
            }
        },
    )
    block = body["identity"]
    assert block["type"] == "SystemAssigned, UserAssigned"
    assert block["principalId"]
    [ids] = block["userAssignedIdentities"].values()
    assert ids["clientId"] == made["properties"]["clientId"]
    kept = (await here.ask("PATCH", f"{THINGS}/a", {"tags": {}})).body
    assert kept["identity"]["principalId"] == block["principalId"]
    missing = {"identity": {"type": "UserAssigned", "userAssignedIdentities": {f"{path}x": {}}}}
    error = await refused(here.put(f"{THINGS}/a", missing))
    assert (error.status, error.code) == (400, "FailedIdentityOperation")


# ------------------------------------------------------------------- lists ----


async def test_the_resource_list_is_filtered_by_type_group_and_tag(here: World) -> None:
    await here.group("h")
    await here.put(f"{THINGS}/a", {"tags": {"team": "blue"}})
    await here.put(f"{BOXES}/b", {"location": "x"})
    await here.put(f"{THINGS}/a/parts/p")
    await here.put(THINGS.replace("/g/", "/h/") + "/c", {})
    base = f"/subscriptions/{SUBSCRIPTION}/resources"

    async def names(query: str) -> list[str]:
        return [item["name"] for item in (await here.get(base + query))["value"]]

    assert await names("") == ["b", "a", "c"]
    assert await names("?$filter=resourceType eq 'microsoft.portal/dashboards'") == ["a", "c"]
    assert await names("?$filter=resourceGroup eq 'H'") == ["c"]
    assert await names("?$filter=tagName eq 'Team' and tagValue eq 'blue'") == ["a"]
    assert await names("?$filter=tagName eq 'team' and tagValue eq 'red'") == []
    assert [i["name"] for i in (await here.get(f"{GROUP}/resources"))["value"]] == ["b", "a"]
    await here.put(f"{THINGS}/d", {"location": "West Europe", "tags": {"tier": "1", "team": "red"}})
    assert await names("?$filter=startswith(tagName, 'ti')") == ["d"]
    assert await names("?$filter=tagName eq 'team'") == ["a", "d"]
    assert await names("?$filter=location eq 'West Europe'") == ["d"]
    both = "substringof('d', name) and resourceType eq 'Microsoft.Portal/dashboards'"
    assert await names(f"?$filter={both}") == ["d"]
    error = await refused(here.get(f"{base}?$filter=colour eq 'red'"))
    assert (error.status, error.code) == (400, "InvalidFilterInQueryString")
    assert "resourcetype, name" in error.message


async def test_top_of_a_list_of_resource_manager_is_the_size_of_its_pages(here: World) -> None:
    for name in "abcde":
        await here.put(f"{THINGS}/{name}", {"tags": {"team": "blue"}})
        await here.group(f"g{name}")
    base = f"/subscriptions/{SUBSCRIPTION}"
    only = "$filter=tagName eq 'team'"
    for path, wanted in (
        (f"{base}/resources?$top=2&{only}", list("abcde")),
        (f"{GROUP}/resources?$top=2", list("abcde")),
        (f"{base}/resourcegroups?$top=4", ["g", "ga", "gb", "gc", "gd", "ge"]),
    ):
        seen: list[str] = []
        link = path
        while link:
            body = await here.get(unquote(link))
            assert len(body["value"]) <= int(path.partition("$top=")[2][0])
            seen += [item["name"] for item in body["value"]]
            link = body.get("nextLink", "").removeprefix("https://here")
        assert seen == wanted


async def test_long_lists_come_in_pages(here: World) -> None:
    await asyncio.gather(*(here.put(f"{THINGS}/n{n:03}", {}) for n in range(230)))
    seen: list[str] = []
    link = f"{THINGS}?api-version=1"
    while link:
        body = await here.get(link)
        seen += [item["name"] for item in body["value"]]
        link = body.get("nextLink", "").removeprefix("https://here")
    assert seen == [f"n{n:03}" for n in range(230)]


async def test_tags_of_the_portal_have_any_name_and_all_have_their_lengths(here: World) -> None:
    tags = {"hidden-link:/subscriptions/x": "Resource", "n" * 512: "v" * 256, "a.b-c d": ""}
    assert (await here.put(f"{THINGS}/a", {"tags": tags}))["tags"] == tags
