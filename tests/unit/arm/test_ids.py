"""Resource ids: every scope, any case, doubled slashes."""

from __future__ import annotations

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import group_id, parse, resource_id

JOB = "/subscriptions/S/resourceGroups/G/providers/Microsoft.App/jobs/sender"


def test_a_resource_is_taken_apart() -> None:
    id = parse(JOB)
    assert (id.subscription, id.group, id.namespace) == ("S", "G", "Microsoft.App")
    assert (id.types, id.names, id.type, id.name) == (
        ("jobs",),
        ("sender",),
        "Microsoft.App/jobs",
        "sender",
    )
    assert id.is_resource
    assert not id.is_collection
    assert id.text == JOB


def test_ids_are_equal_whatever_their_case_and_keep_the_case_they_have() -> None:
    other = parse(JOB.upper().replace("RESOURCEGROUPS", "resourcegroups"))
    assert other.key == parse(JOB).key
    assert other.name == "SENDER"
    assert "/resourceGroups/" in other.text


@pytest.mark.parametrize(
    "path",
    [
        JOB.replace("/jobs", "//jobs"),
        "//" + JOB.strip("/") + "/",
        JOB.replace("sender", "%73ender"),
    ],
)
def test_doubled_slashes_and_percent_signs_change_nothing(path: str) -> None:
    assert parse(path).text == JOB


def test_children_know_their_parents() -> None:
    execution = parse(f"{JOB}/executions/sender-ab")
    assert execution.type == "Microsoft.App/jobs/executions"
    assert execution.parent is not None
    assert execution.parent.text == JOB
    assert execution.parent.parent is None
    collection = parse(f"{JOB}/executions")
    assert collection.is_collection
    assert collection.parent is not None
    assert collection.parent.text == JOB
    assert execution.top.text == JOB


def test_an_extension_lies_at_the_scope_of_a_resource() -> None:
    id = parse(f"{JOB}/providers/Microsoft.Insights/diagnosticSettings/d")
    assert id.scope == JOB
    assert id.type == "Microsoft.Insights/diagnosticSettings"
    assert id.name == "d"
    assert id.group == "G"


def test_scopes_without_a_provider() -> None:
    assert parse("/").text == "/"
    assert parse("/subscriptions").rest == ("subscriptions",)
    assert parse("/subscriptions/S/locations").rest == ("locations",)
    group = parse("/subscriptions/S/resourcegroups/G")
    assert (group.text, group.rest) == ("/subscriptions/S/resourceGroups/G", ())
    assert group == group_id("S", "G")
    assert parse("/providers/Microsoft.App").namespace == "Microsoft.App"


def test_a_resource_may_be_called_providers() -> None:
    id = parse("/subscriptions/S/resourceGroups/G/providers/N.A/things/providers/parts/providers")
    assert (id.types, id.names) == (("things", "parts"), ("providers", "providers"))


def test_old_deployment_paths_get_their_provider() -> None:
    assert (
        parse("/subscriptions/S/resourceGroups/G/deployments/d/operations").type
        == "Microsoft.Resources/deployments/operations"
    )


@pytest.mark.parametrize("bad", ["a%00b", "a%3Cb", "a%25b", "x" * 261])
def test_what_no_name_may_hold_is_refused(bad: str) -> None:
    with pytest.raises(ArmError) as caught:
        parse(f"{JOB}{bad}")
    assert (caught.value.status, caught.value.code) == (400, "InvalidResourceName")


def test_an_id_can_be_put_together() -> None:
    assert resource_id(
        "/subscriptions/S/resourceGroups/G", "Microsoft.App/jobs", "sender"
    ).text == (JOB)
