"""Queries of Resource Graph over what is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.authorization.provider import Authorization, built_in
from orchestrator.localcloud.providers.key_vault.vaults import KeyVault
from orchestrator.localcloud.providers.management_groups import ManagementGroups
from orchestrator.localcloud.providers.resource_graph import ResourceGraph
from tests.unit.arm.world import GROUP, SUBSCRIPTION, TENANT, THINGS, World, world

QUERY = "/providers/Microsoft.ResourceGraph/resources"
SUB = f"/subscriptions/{SUBSCRIPTION}"
AUTH = "providers/Microsoft.Authorization"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
SOMEBODY = "aaaaaaaa-0000-0000-0000-000000000001"


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[World]:
    providers = (
        Authorization({SOMEBODY: "User"}.get),
        ManagementGroups(),
        ResourceGraph(),
        KeyVault(),
    )
    async with world(tmp_path, *providers) as made:
        await made.group("G")
        for number, name in enumerate("cab"):
            body = {
                "location": "West Europe",
                "tags": {"env": "dev" if number else "prod"},
                "properties": {"size": {"n": number}, "parts": [1, 2]},
            }
            await made.put(f"{THINGS.replace('/g/', '/G/')}/{name}", body)
        yield made


async def ask(arm: World, query: str, **body: Any) -> Any:
    return (await arm.ask("POST", QUERY, {"query": query, **body})).body


async def refused(arm: World, query: Any, **body: Any) -> ArmError:
    with pytest.raises(ArmError) as caught:
        await ask(arm, query, **body)
    error = caught.value
    assert (error.status, error.code) == (400, "BadRequest")
    assert error.message.startswith("Please provide below info when asking for support: timestamp")
    return error


async def test_a_row_is_what_a_get_shows(arm: World) -> None:
    answer = await ask(arm, "Resources | where name == 'c'", subscriptions=[SUBSCRIPTION])
    data = answer.pop("data")
    assert answer == {"totalRecords": 1, "count": 1, "facets": [], "resultTruncated": "false"}
    assert data == [
        {
            "id": f"{THINGS.replace('/g/', '/G/')}/c",
            "name": "c",
            "type": "microsoft.portal/dashboards",
            "tenantId": TENANT,
            "kind": "",
            "location": "westeurope",
            "resourceGroup": "g",
            "subscriptionId": SUBSCRIPTION,
            "managedBy": "",
            "sku": None,
            "plan": None,
            "properties": {"size": {"n": 0}, "parts": [1, 2], "provisioningState": "Succeeded"},
            "tags": {"env": "prod"},
            "identity": None,
            "zones": None,
            "extendedLocation": None,
        }
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("project name | limit 2", [{"name": "a"}, {"name": "b"}]),
        ("| project name | order by name desc | take 1", [{"name": "c"}]),
        ("// about resources\nwhere tags.env =~ 'PROD' | project name", [{"name": "c"}]),
        (
            "resources | where type =~ 'Microsoft.Portal/Dashboards' and properties.size.n > 1 "
            "| project name, properties.size.n",
            [{"name": "b", "properties_size_n": 2}],
        ),
        (
            "RESOURCES | summarize count() by tostring(tags.env) | order by count_ asc",
            [{"tags_env": "prod", "count_": 1}, {"tags_env": "dev", "count_": 2}],
        ),
        ("Resources | count", [{"Count": 3}]),
        (
            "Resources | where name == 'a' | mv-expand part = properties.parts | project part",
            [{"part": 1}, {"part": 2}],
        ),
        (
            "Resources | where name == 'a' | join kind=leftouter (ResourceContainers "
            "| where type =~ 'microsoft.resources/subscriptions/resourcegroups' "
            "| project resourceGroup, where_ = location) on resourceGroup | project name, where_",
            [{"name": "a", "where_": "westeurope"}],
        ),
        (
            "ResourceContainers | where type == 'microsoft.resources/subscriptions' "
            "| project name, state = properties.state",
            [{"name": "Local cloud", "state": "Enabled"}],
        ),
        (
            "resourcecontainers | where type =~ 'microsoft.management/managementgroups' "
            "| project name, properties.displayName",
            [{"name": TENANT, "properties_displayName": "Tenant Root Group"}],
        ),
        (
            "AuthorizationResources | where type == 'microsoft.authorization/roledefinitions' "
            "and properties.roleName == 'Reader' | project name",
            [{"name": READER}],
        ),
        (
            "resources | where isnotempty(tags) | mvexpand tags "
            "| extend k = tostring(bag_keys(tags)[0]) | extend v = tostring(tags[k]) "
            "| distinct k, v | order by v asc",
            [{"k": "env", "v": "dev"}, {"k": "env", "v": "prod"}],
        ),
        (
            "Resources | take 1 | extend i = 1, j = -1, k = 'n' | project w = properties.parts[i], "
            "x = properties.parts[j], y = properties.size[k]",
            [{"w": 2, "x": 2, "y": 1}],
        ),
        ("union resources, Resourcecontainers | where type has 'portal' | count", [{"Count": 3}]),
        ("Resources | where isnull(identity) | summarize n = count(), any(zones)",
         [{"n": 3, "any_zones": None}]),
    ],
)  # fmt: skip
async def test_kql_is_answered(arm: World, query: str, expected: Any) -> None:
    assert (await ask(arm, query))["data"] == expected


async def test_a_table_has_columns_with_types(arm: World) -> None:
    query = (
        "Resources | where name == 'c' | project name, tags, n = toint(properties.size.n), "
        "r = 1.5, yes = true, at = datetime(2026-01-02)"
    )
    answer = await ask(arm, query, options={"resultFormat": "table"})
    kinds = [(column["name"], column["type"]) for column in answer["data"]["columns"]]
    assert kinds == [
        ("name", "string"),
        ("tags", "object"),
        ("n", "integer"),
        ("r", "number"),
        ("yes", "boolean"),
        ("at", "string"),
    ]
    assert answer["data"]["rows"] == [
        ["c", {"env": "prod"}, 0, 1.5, True, "2026-01-02T00:00:00.0000000Z"]
    ]


async def test_pages_lead_on_by_a_token(arm: World) -> None:
    first = await ask(arm, "project id, name", options={"$top": 2})
    assert (first["totalRecords"], first["count"]) == (3, 2)
    assert first["resultTruncated"] == "false"
    second = await ask(arm, "project id, name", options={"$skipToken": first["$skipToken"]})
    assert [row["name"] for row in (*first["data"], *second["data"])] == ["a", "b", "c"]
    assert "$skipToken" not in second
    skipped = await ask(arm, "project id, name", options={"$skip": 2, "$top": 1})
    assert [row["name"] for row in skipped["data"]] == ["c"]
    # Rows without an id cannot be told apart: the rest is not to be had.
    cut = await ask(arm, "project name", options={"$top": 2})
    assert (cut["resultTruncated"], "$skipToken" in cut) == ("true", False)


async def test_facets_count_values(arm: World) -> None:
    facets = [
        {"expression": "location"},
        {"expression": "tostring(tags.env)", "options": {"sortOrder": "asc", "$top": 1}},
        {"expression": "name", "options": {"filter": "name != 'a'", "sortBy": "name"}},
        {"expression": "nope("},
    ]
    answer = await ask(arm, "Resources", facets=facets)
    one, two, three, bad = answer["facets"]
    assert one == {
        "expression": "location",
        "resultType": "FacetResult",
        "totalRecords": 1,
        "count": 1,
        "data": [{"location": "westeurope", "count": 3}],
    }
    assert (two["totalRecords"], two["count"]) == (2, 1)
    assert two["data"] == [{"tags_env": "prod", "count": 1}]
    assert [row["name"] for row in three["data"]] == ["c", "b"]
    assert (bad["resultType"], bad["errors"][0]["code"]) == ("FacetError", "ParserFailure")


async def test_what_cannot_be_run_is_told_as_the_service_does(arm: World) -> None:
    syntax = await refused(arm, "where where")
    assert [item.code for item in syntax.details] == ["InvalidQuery", "ParserFailure"]
    told = syntax.details[1].inner()
    assert (told["line"], told["token"]) == (1, "where")
    assert told["characterPositionInLine"] >= 0
    for query, code, words in (
        ("Nope | take 1", "DisallowedLogicalTableName", "Table Nope is invalid"),
        ("Resources | summarize cout()", "UnknownFunction", "Unknown function: 'cout'."),
        ("Resources | where nope == 1", "InvalidQueryExpression", "nope"),
    ):
        error = await refused(arm, query)
        assert [item.code for item in error.details] == ["InvalidQuery", code]
        assert words in error.details[1].message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": ""}, "InvalidQuery"),
        ({"query": None}, "InvalidQuery"),
        ({"options": {"resultFormat": "xml"}}, "InvalidResultFormat"),
        ({"options": {"$top": 1001}}, "InvalidQueryOption"),
        ({"options": {"$top": "5"}}, "InvalidQueryOption"),
        ({"options": {"$skip": -1}}, "InvalidQueryOption"),
        ({"options": {"$skipToken": "abc"}}, "InvalidSkipToken"),
        # {"RowsToSkip": 1e999, "MaxRows": 1}
        (
            {"options": {"$skipToken": "eyJSb3dzVG9Ta2lwIjogMWU5OTksICJNYXhSb3dzIjogMX0="}},
            "InvalidSkipToken",
        ),
        ({"subscriptions": ["abc"]}, "SubscriptionsContainInvalidGuids"),
        ({"subscriptions": [TENANT]}, "NoValidSubscriptionsInQueryRequest"),
        ({"managementGroups": ["none"]}, "NoValidSubscriptionsInQueryRequest"),
    ],
)
async def test_requests_of_another_form_are_refused(
    arm: World, body: dict[str, Any], code: str
) -> None:
    error = await refused(arm, **({"query": "Resources"} | body))
    assert error.details[0].code == code


async def test_scopes_that_are_not_there_are_left_out(arm: World) -> None:
    for scope in (
        {"subscriptions": [TENANT, SUBSCRIPTION.upper()]},
        {"managementGroups": [TENANT]},
    ):
        assert (await ask(arm, "Resources", **scope))["totalRecords"] == 3


async def test_a_caller_sees_what_they_may_read(arm: World) -> None:
    role = f"/{AUTH}/roleDefinitions/{READER}"
    given = {"properties": {"roleDefinitionId": role, "principalId": SOMEBODY}}
    at = f"{THINGS}/b/{AUTH}/roleAssignments/00000000-0000-0000-0000-000000000001"
    arm.arm.access = Access(arm.arm.store, built_in, ["someone"])
    arm.caller = SOMEBODY
    error = await refused(arm, "Resources")
    assert error.details[0].code == "NoValidSubscriptionsInQueryRequest"
    arm.caller = "someone"
    await arm.put(at, given)
    assert (await ask(arm, "Resources"))["totalRecords"] == 3
    arm.caller = SOMEBODY
    assert [row["name"] for row in (await ask(arm, "Resources"))["data"]] == ["b"]
    found = (await ask(arm, "AuthorizationResources | project type, properties.principalId"))[
        "data"
    ]
    assert [row["properties_principalId"] for row in found] == [SOMEBODY]
    kinds = (await ask(arm, "ResourceContainers | project type"))["data"]
    assert [row["type"].rpartition("/")[2] for row in kinds] == ["subscriptions", "resourcegroups"]


async def test_secrets_are_not_in_it(arm: World) -> None:
    vault = f"{GROUP}/providers/Microsoft.KeyVault/vaults/a-vault"
    properties = {"tenantId": TENANT, "sku": {"family": "A", "name": "standard"}}
    await arm.put(vault, {"location": "westeurope", "properties": properties})
    await arm.put(f"{vault}/secrets/s", {"properties": {"value": "hush"}})
    answer = await ask(arm, "Resources | where type has 'keyvault'")
    assert answer["count"] == 1
    assert "hush" not in str(answer)


async def test_a_query_is_saved(arm: World) -> None:
    path = f"{GROUP}/providers/Microsoft.ResourceGraph/queries/mine"
    made = await arm.put(path, {"properties": {"query": "Resources | count"}})
    assert made["properties"]["resultKind"] == "basic"
    assert made["properties"]["timeModified"]
    with pytest.raises(ArmError, match="needs"):
        await arm.put(path, {"properties": {}})
