"""Profiles: which one, with which names, reached where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.azure.profile import Profile, connection, reach, resolve
from orchestrator.errors import NotReachable, ProfileError, SettingsError
from orchestrator.settings import Settings, check

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
AZURE = {
    "kind": "azure",
    "subscription": SUBSCRIPTION,
    "resource_group": "rg",
    "environment": "env",
    "namespace": "bus",
}


def settings(**profiles: dict[str, Any]) -> Settings:
    data = {"default_profile": next(iter(profiles)), "profiles": profiles}
    return check(data, Path("/project/orchestrator.toml"))


def test_a_local_profile_has_a_name_for_everything() -> None:
    profile = resolve(settings(local={"kind": "local"}), environ={})
    assert profile.resource_group == "local"
    assert profile.location == "westeurope"
    assert profile.identity == "jobs"
    assert profile.state == Path("/project/.orchestrator/local")


def test_variables_override_the_chosen_profile() -> None:
    both = settings(azure=AZURE, local={"kind": "local"})
    environ = {
        "ORCHESTRATOR_PROFILE": "local",
        "ORCHESTRATOR_RESOURCE_GROUP": "mine",
        "ORCHESTRATOR_STATE": "/elsewhere",
        "ORCHESTRATOR_PORT": "24443",
        "ORCHESTRATOR_SUBSCRIPTION": SUBSCRIPTION,  # azure's alone: no matter here
    }
    profile = resolve(both, environ=environ)
    assert (profile.name, profile.resource_group) == ("local", "mine")
    assert profile.state == Path("/elsewhere")
    assert profile.spec.port == 24443
    assert resolve(both, "azure", environ=environ).resource_group == "mine"


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("ORCHESTRATOR_RESOURCE_GRUOP", "x", "Did you mean ORCHESTRATOR_RESOURCE_GROUP?"),
        ("ORCHESTRATOR_PROFLIE", "x", "Did you mean ORCHESTRATOR_PROFILE?"),
        ("ORCHESTRATOR_PORT", "many", "expected a whole number"),
        ("ORCHESTRATOR_PORT", "70000", "0 to 65535"),
        ("ORCHESTRATOR_REGISTRY", "https://x", "a registry server"),
    ],
)
def test_a_wrong_variable_is_refused_by_name(variable: str, value: str, what: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve(settings(local={"kind": "local"}), environ={variable: value})
    assert variable in caught.value.message
    assert what in caught.value.message


def test_other_programs_variables_are_left_alone() -> None:
    resolve(settings(local={"kind": "local"}), environ={"ORCHESTRATOR_MOOD": "calm"})


def test_an_unknown_profile_is_told_with_what_was_perhaps_meant() -> None:
    with pytest.raises(ProfileError) as caught:
        resolve(settings(azure=AZURE), "azuer", environ={})
    assert '"azure"' in caught.value.hint
    assert caught.value.exit_code == 2


def test_an_azure_profile_needs_subscription_group_and_environment() -> None:
    with pytest.raises(ProfileError) as caught:
        resolve(settings(azure={"kind": "azure", "environment": "e"}), environ={})
    assert "lacks subscription, resource_group" in caught.value.message
    filled = {
        "ORCHESTRATOR_SUBSCRIPTION": SUBSCRIPTION,
        "ORCHESTRATOR_RESOURCE_GROUP": "rg",
    }
    assert (
        resolve(
            settings(azure={"kind": "azure", "environment": "e"}), environ=filled
        ).resource_group
        == "rg"
    )


def test_the_starter_files_subscription_of_zeros_is_refused() -> None:
    zeros = {**AZURE, "subscription": "00000000-0000-0000-0000-000000000000"}
    with pytest.raises(ProfileError, match="subscription of zeros"):
        resolve(settings(azure=zeros), environ={})


def test_azure_is_public_azure_unless_told_otherwise() -> None:
    endpoints = reach(resolve(settings(azure=AZURE), environ={}))
    assert endpoints.resource_manager == "https://management.azure.com"
    assert endpoints.logs == "https://api.loganalytics.io"
    assert endpoints.identity is None
    other = {**AZURE, "resource_manager": "https://management.usgovcloudapi.net/"}
    endpoints = reach(resolve(settings(azure=other), environ={}))
    assert endpoints.resource_manager == "https://management.usgovcloudapi.net"
    assert endpoints.resource_manager_audience == "https://management.usgovcloudapi.net"


# ------------------------------------------------------------------------ the connection file


def local(state: Path) -> Profile:
    return resolve(settings(local={"kind": "local", "state": str(state)}), environ={})


def write(state: Path, **changed: Any) -> None:
    content = {
        "version": 1,
        "pid": os.getpid(),
        "tenant": SUBSCRIPTION,
        "subscription": SUBSCRIPTION,
        "resource_manager": "https://127.0.0.1:1",
        "logs": "https://127.0.0.1:1",
        "login": "https://127.0.0.1:1",
        "identity": {"endpoint": "http://127.0.0.1:2/msi/token", "header": "secret-header"},
        "service_bus": {"amqp": "127.0.0.1:3", "amqps": "127.0.0.1:4"},
        "ca": "/ca.pem",
        "ca_bundle": "/ca-bundle.pem",
    }
    (state / "cloud.json").write_text(json.dumps({**content, **changed}))


def test_the_connection_file_gives_the_endpoints(tmp_path: Path) -> None:
    write(tmp_path)
    endpoints = reach(local(tmp_path))
    assert endpoints.subscription == SUBSCRIPTION
    assert endpoints.ca_bundle == "/ca.pem"
    assert endpoints.service_bus == "127.0.0.1:4"
    assert endpoints.identity == ("http://127.0.0.1:2/msi/token", "secret-header")


def test_no_connection_file_means_that_no_local_cloud_runs(tmp_path: Path) -> None:
    with pytest.raises(NotReachable) as caught:
        reach(local(tmp_path))
    assert caught.value.message == "No local cloud is running."
    assert "orchestrator local up" in caught.value.hint


def test_a_stale_connection_file_means_the_same(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    write(tmp_path, pid=ended.pid)
    with pytest.raises(NotReachable, match="has ended") as caught:
        connection(tmp_path)
    assert "orchestrator local up" in caught.value.hint


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', "\x00\x01"])
def test_a_damaged_connection_file_is_no_traceback(tmp_path: Path, content: str) -> None:
    (tmp_path / "cloud.json").write_text(content)
    with pytest.raises(NotReachable, match="is damaged"):
        connection(tmp_path)


def test_a_connection_file_of_a_later_version_is_told(tmp_path: Path) -> None:
    write(tmp_path, version=2)
    with pytest.raises(NotReachable, match="another version"):
        connection(tmp_path)


def test_the_identitys_secret_is_never_shown(tmp_path: Path) -> None:
    write(tmp_path)
    profile = local(tmp_path)
    assert "secret-header" not in repr(reach(profile))
    assert "secret-header" not in repr(connection(tmp_path))
    assert "secret-header" not in repr(profile)
