"""What what-if and a running deployment tell, in people's words."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.display.whatif import write_what_if
from orchestrator.errors import Conflict
from orchestrator.infra.changes import parse_id, title, what_if
from orchestrator.infra.following import Follower, failures_of, innermost
from orchestrator.infra.stack import description_of, kept_of
from orchestrator.infra.verbs import _refuse_impossible

RG = "/subscriptions/s/resourceGroups/rg"
BUS = f"{RG}/providers/Microsoft.ServiceBus/namespaces/bus"
QUEUE = f"{BUS}/queues/results"
ROLE = f"{QUEUE}/providers/Microsoft.Authorization/roleAssignments/0f"
DEPLOYMENTS = f"{RG}/providers/Microsoft.Resources/deployments"


def test_the_parts_of_ids() -> None:
    queue = parse_id(QUEUE)
    assert (queue.kind, queue.name, queue.noun) == (
        "Microsoft.ServiceBus/namespaces/queues",
        "results",
        "queue",
    )
    assert (queue.scope, queue.group) == ("", "rg")
    role = parse_id(ROLE)
    assert (role.noun, role.scope) == ("role", QUEUE)
    assert parse_id(f"{RG}/providers/Contoso.Some/things/x").noun == "things"
    assert parse_id("nonsense").name == "nonsense"


def test_a_role_is_named_by_what_it_allows_where() -> None:
    definition = "/x/roleDefinitions/69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
    assert title(ROLE, {"roleDefinitionId": definition}) == "Data Sender on results"
    assert title(ROLE) == "on results"
    diagnostics = f"{BUS}/providers/Microsoft.Insights/diagnosticSettings/to-workspace"
    assert title(diagnostics) == "to-workspace of bus"


def test_a_part_of_another_resource_is_named_with_whose_it_is() -> None:
    network = f"{RG}/providers/Microsoft.Network"
    groups = [f"{network}/privateEndpoints/pe-{of}/privateDnsZoneGroups/default" for of in "ab"]
    assert [title(group) for group in groups] == ["default of pe-a", "default of pe-b"]
    link = f"{network}/privateDnsZones/privatelink.azurecr.io/virtualNetworkLinks/link-net"
    assert title(link) == "link-net of privatelink.azurecr.io"
    assert title(f"{BUS}/topics/orders/subscriptions/all") == "all of orders"
    assert title(f"{BUS}/authorizationRules/send") == "send of bus"
    assert title(QUEUE) == "results"
    assert title(f"{network}/virtualNetworks/net/subnets/apps") == "apps"


def modify(path: str, before: Any, after: Any, **more: Any) -> dict[str, Any]:
    return {"path": path, "propertyChangeType": "Modify", "before": before, "after": after, **more}


RESULT = {
    "status": "Succeeded",
    "properties": {
        "changes": [
            {"resourceId": BUS, "changeType": "NoChange", "before": {}, "after": {}},
            {
                "resourceId": f"{BUS}/queues/parameters",
                "changeType": "Create",
                "after": {
                    "id": "x",
                    "name": "parameters",
                    "properties": {"lockDuration": "PT5M", "nothing": None},
                },
            },
            {
                "resourceId": QUEUE,
                "changeType": "Modify",
                "delta": [
                    {
                        "path": "properties",
                        "propertyChangeType": "Modify",
                        "children": [
                            modify("lockDuration", "PT1M", "PT5M"),
                            {
                                "path": "list",
                                "propertyChangeType": "Array",
                                "children": [modify("0", "a", "b")],
                            },
                            {"path": "noise", "propertyChangeType": "NoEffect", "after": 1},
                        ],
                    },
                    {"path": "tags.team", "propertyChangeType": "Create", "after": "x"},
                ],
            },
            {"resourceId": f"{RG}/providers/A.B/cs/old", "changeType": "Ignore"},
            {
                "resourceId": f"{RG}/providers/A.B/cs/odd",
                "changeType": "Unsupported",
                "unsupportedReason": "nobody knows",
            },
        ]
    },
}


def test_a_what_if_is_told_resource_by_resource() -> None:
    found = what_if(RESULT)
    assert [(c.noun, c.name, c.effect) for c in found] == [
        ("namespace", "bus", "unchanged"),
        ("queue", "parameters", "create"),
        ("queue", "results", "modify"),
        ("cs", "old", "ignore"),
        ("cs", "odd", "unsupported"),
    ]
    assert [(p.path, p.before, p.after) for p in found[2].properties] == [
        ("properties.lockDuration", "PT1M", "PT5M"),
        ("properties.list[0]", "a", "b"),
        ("tags.team", None, "x"),
    ]
    assert found.changed
    assert not found.certain
    assert found.as_json()[1]["changeType"] == "Create"
    changes = found.changes()
    assert [(c.name, c.action) for c in changes] == [
        ("bus", "unchanged"),
        ("parameters", "created"),
        ("results", "updated"),
        ("odd", "unchanged"),
    ]
    assert str(changes[2].fields[0]) == "lock_duration: PT1M → PT5M"


def test_a_what_if_is_written_calmly() -> None:
    stream = io.StringIO()
    write_what_if(what_if(RESULT), stream, group="rg")
    assert stream.getvalue() == (
        "+ queue  parameters\n"
        "    lockDuration  PT5M\n"
        "~ queue  results\n"
        "    ~ lockDuration  PT1M -> PT5M\n"
        "    ~ list[0]       a -> b\n"
        "    + tags.team     x\n"
        "? cs     odd  nobody knows\n"
        "\n"
        "Resource group rg: 1 to create, 1 to change, 1 that cannot be foreseen, 1 unchanged, "
        "1 not in the template.\n"
    )


def test_what_no_queue_can_change_to_is_refused_beforehand() -> None:
    change = {
        "resourceId": QUEUE,
        "changeType": "Modify",
        "delta": [modify("properties.requiresSession", False, True)],
    }
    with pytest.raises(Conflict, match="sessions off"):
        _refuse_impossible(what_if({"properties": {"changes": [change]}}))


def test_a_stack_remembers_what_was_there_before() -> None:

    stack = {"properties": {"description": description_of([BUS, QUEUE])}}
    assert kept_of(stack) == [BUS, QUEUE]
    assert kept_of({"properties": {"description": "somebody's own words"}}) == []
    with pytest.raises(Conflict, match="too many"):
        description_of([BUS] * 200)


# ------------------------------------------------------------------------------- while it runs


def operation(target: str, state: str, error: Any = None, kind: str = "Create") -> dict[str, Any]:
    parts = parse_id(target)
    return {
        "properties": {
            "provisioningOperation": kind,
            "provisioningState": state,
            "duration": "PT1.5S",
            "statusMessage": {"status": "Failed", "error": error} if error else None,
            "targetResource": {"id": target, "resourceType": parts.kind},
        }
    }


class Operations:
    """The operations of each deployment, as they are now."""

    def __init__(self) -> None:
        self.of: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []

    def list_at_scope(self, scope: str, name: str) -> list[Any]:
        assert scope == RG.strip("/")
        self.asked.append(name)
        return [SimpleNamespace(as_dict=lambda o=o: o) for o in self.of.get(name, [])]


def follower() -> tuple[Follower, Operations]:
    operations = Operations()
    clients: Any = SimpleNamespace(
        profile=None, deployments=SimpleNamespace(deployment_operations=operations)
    )
    return Follower(clients, f"{DEPLOYMENTS}/root"), operations


def test_modules_are_looked_through_and_each_resource_is_told_once() -> None:
    found, operations = follower()
    operations.of = {
        "root": [operation(f"{DEPLOYMENTS}/bus", "Running"), operation(ROLE, "Running")],
        "bus": [operation(BUS, "Succeeded"), operation(QUEUE, "Running")],
    }
    assert [(o.name, o.seconds) for o in found.look()] == [("bus", 1.5)]
    assert {o.name for o in found.running()} == {"results", "on results"}
    operations.of["bus"][1] = operation(QUEUE, "Succeeded")
    operations.of["root"] = [
        operation(f"{DEPLOYMENTS}/bus", "Succeeded"),
        operation(ROLE, "Succeeded"),
        operation("", "Succeeded", kind="EvaluateDeploymentOutput"),
    ]
    assert {o.name for o in found.look()} == {"results", "on results"}
    operations.asked.clear()
    assert found.look() == []
    assert operations.asked == ["root"]  # the module is over, and is not asked for again


def test_a_failure_is_told_by_its_resource_and_its_innermost_reason() -> None:
    found, operations = follower()
    error = {
        "code": "ResourceDeploymentFailure",
        "message": "The resource write operation failed.",
        "details": [{"code": "NameTaken", "message": "bus is taken.", "details": []}],
    }
    operations.of = {
        "root": [operation(f"{DEPLOYMENTS}/bus", "Failed", {"code": "DeploymentFailed"})],
        "bus": [operation(BUS, "Failed", error)],
    }
    found.look()
    (failure,) = found.failures()
    assert str(failure) == "namespace bus: bus is taken (NameTaken)"


def test_a_module_that_fails_as_a_whole_is_told_itself() -> None:
    found, operations = follower()
    error = {"code": "InvalidTemplate", "message": "No such parameter"}
    operations.of = {"root": [operation(f"{DEPLOYMENTS}/bus", "Failed", error)]}
    found.look()
    assert [str(f) for f in found.failures()] == ["module bus: No such parameter (InvalidTemplate)"]


def test_an_error_without_operations_is_told_by_its_leaves() -> None:
    error = {
        "code": "InvalidTemplateDeployment",
        "message": "See details.",
        "details": [
            {"code": "A", "target": QUEUE, "message": "No."},
            {"code": "B", "message": "x", "details": [{"code": "C", "message": "y"}]},
        ],
    }
    assert [str(f) for f in failures_of(error)] == [
        "queue results: No (A)",
        "template: y (C)",
    ]
    assert innermost({"code": "A", "message": "a", "error": {"code": "B", "message": "b"}}) == (
        "B",
        "b",
    )


@pytest.mark.parametrize("end", ["'30'.'.", "'30''.", "'30''"])
def test_a_quoted_finding_keeps_the_quotes_of_its_own(end: str) -> None:
    said = f"Deployment template validation failed: 'The value '3' should be at least {end}"
    error = {"code": "InvalidTemplate", "message": said}
    assert innermost(error) == ("InvalidTemplate", "The value '3' should be at least '30'")


# ------------------------------------------------------------------------------- what is deployed


def deployed(**profile: str) -> Any:
    """What `show` makes of a stack of two resources, one of them failed."""
    from orchestrator.azure.profile import resolve
    from orchestrator.infra.verbs import InfraVerbs
    from orchestrator.settings import ProfileSpec, Settings

    given: Any = {
        "kind": "azure",
        "subscription": "11111111-2222-3333-4444-555555555555",
        "resource_group": "rg",
        **profile,
    }
    settings = Settings(profiles={"a": ProfileSpec(**given)}, default_profile="a")
    stack = {
        "name": "infra",
        "properties": {
            "provisioningState": "failed",
            "resources": [{"id": QUEUE, "status": "managed"}],
            "failedResources": [
                {"id": BUS, "error": {"code": "NameTaken", "message": "bus is taken."}}
            ],
            "outputs": {"x": {"type": "string", "value": "y"}},
        },
    }
    stacks = SimpleNamespace(
        get_at_resource_group=lambda group, name: SimpleNamespace(as_dict=lambda: stack)
    )
    clients: Any = SimpleNamespace(profile=resolve(settings, environ={}), stacks=stacks)
    time: Any = None
    return InfraVerbs(clients, settings, time).show()


def test_what_is_deployed_is_listed_by_kind_with_links_to_the_portal() -> None:
    tenant = "99999999-2222-3333-4444-555555555555"
    found = deployed(tenant=tenant)
    assert [(r.kind, r.name, r.status) for r in found] == [
        ("namespace", "bus", "failed: bus is taken"),
        ("queue", "results", "managed"),
    ]
    assert found[1].link == f"https://portal.azure.com/#@{tenant}/resource{QUEUE}"
    assert found.state == "failed"
    assert found.as_dict()["outputs"] == {"x": "y"}
    # Another cloud has another portal.
    other = deployed(resource_manager="https://management.usgovcloudapi.net")
    assert {r.link for r in other} == {""}
