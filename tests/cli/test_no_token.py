"""No token to be had: one sentence and the next step, whatever azure-identity says of it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.pipeline.transport import HttpTransport

from orchestrator.azure import identity
from orchestrator.azure.identity import EndpointCredential
from orchestrator.errors import NotReachable
from tests.cli.conftest import Cli


@pytest.fixture
def silent() -> Iterator[str]:
    """An address at which connections are taken by the system, and nobody ever answers."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def dead() -> str:
    """An address at which nothing listens any more."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def test_azure_identitys_list_of_all_it_tried_stays_away(
    bare: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    done = bare.spawn("--profile", "azure", "jobs", "list")
    assert done.status == 1
    said, step = done.err.splitlines()
    assert said.startswith("Could not list the jobs, for want of a token: ")
    assert step == "Next: Sign in: az login"
    told = bare.spawn("-v", "--profile", "azure", "jobs", "list")
    assert "Attempted credentials" in told.err


def test_a_local_cloud_that_is_gone_is_told_by_a_profile_that_reaches_it_as_azure(
    tmp_path: Path, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orchestrator.toml").write_text(
        f"""
        [profiles.here]
        kind = "azure"
        subscription = "11111111-1111-1111-1111-111111111111"
        resource_group = "rg"
        environment = "env"
        resource_manager = "https://{dead}"
        """
    )
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://{dead}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "a-header")
    monkeypatch.setattr(HttpTransport, "sleep", lambda *_: None)  # between azure-core's retries
    done = Cli(tmp_path)("jobs", "list")
    assert (done.status, done.err.splitlines()) == (
        1,
        [
            f"Could not list the jobs: the local cloud does not answer at {dead}.",
            "Next: Start it: orchestrator local up; then renew this shell's variables: "
            'eval "$(orchestrator local env)"',
        ],
    )


def test_a_local_cloud_that_is_there_and_silent_is_not_said_to_have_ended(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_TIMEOUT", 0.05)
    credential = EndpointCredential(lambda: (f"http://{silent}/msi/token", "a-header"))
    with pytest.raises(NotReachable) as caught:
        credential.get_token("https://management.azure.com/.default")
    assert f"The local cloud does not answer at {silent}" in caught.value.message
    assert "orchestrator local status" in caught.value.hint


def test_a_local_cloud_that_is_gone_is_said_not_to_run(dead: str) -> None:
    credential = EndpointCredential(lambda: (f"http://{dead}/msi/token", "a-header"))
    with pytest.raises(NotReachable) as caught:
        credential.get_token("https://management.azure.com/.default")
    assert f"nothing answers at {dead}" in caught.value.message
    assert "orchestrator local up" in caught.value.hint
