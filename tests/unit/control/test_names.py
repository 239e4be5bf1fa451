"""Names: the profile's own first, else what its deployment tells; read once, and only if wanted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from orchestrator.azure.names import Names
from orchestrator.azure.profile import resolve
from orchestrator.errors import ProfileError
from orchestrator.settings import ProfileSpec, Settings

OUTPUTS = {
    "environmentName": "cae-jobs",
    "serviceBusNamespaceName": "sb-jobs-x",
    "registryLoginServer": "acrjobs.azurecr.io",
    "workspaceName": "log-jobs",
    "sharedIdentityName": "",
    "identities": [
        {"job": "sender", "id": "/id/sender", "clientId": "c1"},
        {"job": "half", "id": "/id/half"},
        "nonsense",
    ],
}


class Stack:
    """The service's answer, and how often it was asked."""

    def __init__(self, outputs: dict[str, Any] | None) -> None:
        self.outputs = outputs
        self.asked = 0
        self.refuses = False

    def get_at_resource_group(self, group: str, name: str) -> Any:
        self.asked += 1
        assert (group, name) == ("rg", "infra")
        if self.refuses:
            no: Any = SimpleNamespace(status_code=403, reason="", headers={}, text=lambda: "")
            raise HttpResponseError("not for you", response=no)
        if self.outputs is None:
            gone: Any = SimpleNamespace(status_code=404, reason="", headers={}, text=lambda: "")
            raise ResourceNotFoundError("no stack", response=gone)
        told = {key: {"type": "string", "value": value} for key, value in self.outputs.items()}
        return SimpleNamespace(as_dict=lambda: {"properties": {"outputs": told}})


def names(outputs: dict[str, Any] | None = OUTPUTS, **given: Any) -> tuple[Names, Stack]:
    kind = given.pop("kind", "azure")
    if kind == "azure":
        given = {"subscription": "11111111-2222-3333-4444-555555555555", **given}
    spec = ProfileSpec(kind=kind, resource_group="rg", **given)
    profile = resolve(Settings(profiles={"it": spec}, default_profile="it"), environ={})
    stack = Stack(outputs)
    clients: Any = SimpleNamespace(profile=profile, stacks=stack)
    return Names(clients), stack


def test_what_the_profile_names_is_taken_without_asking() -> None:
    found, stack = names(namespace="bus", environment="e")
    assert (found.namespace, found.environment) == ("bus", "e")
    assert stack.asked == 0


def test_what_it_does_not_name_comes_from_the_outputs_read_once() -> None:
    found, stack = names(namespace="bus")
    assert found.need("environment") == "cae-jobs"
    assert found.registry == "acrjobs.azurecr.io"
    assert found.need("workspace") == "log-jobs"
    assert found.namespace == "bus"
    assert found.identity is None  # an empty output is none
    assert stack.asked == 1


def test_a_deployment_is_seen_once_the_old_one_is_forgotten() -> None:
    found, stack = names(None)
    assert found.environment is None
    stack.outputs = OUTPUTS
    assert found.environment is None
    found.forget()
    assert found.environment == "cae-jobs"


def test_a_name_that_nothing_tells_is_refused_with_the_next_step() -> None:
    found, _ = names(None)
    with pytest.raises(ProfileError, match="has no namespace") as caught:
        found.need("namespace")
    assert "ORCHESTRATOR_NAMESPACE" in caught.value.hint
    assert "orchestrator --profile it infra deploy" in caught.value.hint


def test_who_may_not_read_deployments_has_the_names_of_the_profile() -> None:
    found, stack = names(namespace="bus")
    stack.refuses = True
    assert found.namespace == "bus"
    assert found.registry is None


def test_identities_of_jobs_are_those_that_are_whole() -> None:
    found, _ = names()
    assert found.identities == {"sender": ("/id/sender", "c1")}
    assert names({"identities": "text"})[0].identities == {}


def test_images_of_a_local_cloud_come_from_no_registry_unless_one_is_named() -> None:
    assert names(kind="local")[0].registry is None
    assert names(kind="local", registry="r.io")[0].registry == "r.io"
