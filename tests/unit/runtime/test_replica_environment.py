"""Which of its job's identities a replica gets tokens of."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.localcloud.replica_environment import ReplicaEnvironments

ASSIGNED = {"/ids/Own": {"clientId": "own"}, "/ids/pull": {"clientId": "pull"}}


class Headers:
    """Remembers for whom a header was issued."""

    def __init__(self) -> None:
        self.clients: list[str] = []
        self.system: object = None

    def replica_header(self, clients: list[str], *, system: object = None) -> str:
        self.clients, self.system = clients, system
        return "header"

    def forget_header(self, header: str) -> None:
        pass


async def asked(job: dict[str, Any]) -> Headers | None:
    headers: Any = Headers()
    environments = ReplicaEnvironments(
        headers, endpoint="e", broker="b", ca="c", bundle="d", https="h", namespaces=list
    )
    async with environments(job) as variables:
        return headers if "IDENTITY_HEADER" in variables else None


@pytest.mark.parametrize(
    ("settings", "clients"),
    [
        ([], ["own", "pull"]),
        ([{"identity": "/IDS/PULL", "lifecycle": "None"}], ["own"]),
        ([{"identity": "/ids/pull", "lifecycle": "All"}], ["own", "pull"]),
        ([{"identity": "/ids/pull"}], ["own", "pull"]),
    ],
)
async def test_identities_of_the_platforms_own_work_are_withheld(
    settings: list[dict[str, str]], clients: list[str]
) -> None:
    configuration = {"identitySettings": settings}
    job = {
        "identity": {"userAssignedIdentities": ASSIGNED},
        "properties": {"configuration": configuration},
    }
    found = await asked(job)
    assert found is not None
    assert found.clients == clients


async def test_a_job_whose_identities_are_all_withheld_has_no_endpoint() -> None:
    settings = [{"identity": name, "lifecycle": "None"} for name in (*ASSIGNED, "system")]
    job = {
        "identity": {"userAssignedIdentities": ASSIGNED, "principalId": "p", "tenantId": "t"},
        "properties": {"configuration": {"identitySettings": settings}},
    }
    assert await asked(job) is None
