"""Executions through azure-mgmt-appcontainers, unmodified: started, stopped, listened to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.mgmt.appcontainers import ContainerAppsAPIClient, models

from tests.cloud.container_apps_world import (
    connected,
    finished,
    fresh_name,
    made_environment,
    spec,
)
from tests.cloud.wire import Wire
from tests.conftest import CloudInThread

GROUP = "executions"


@pytest.fixture(scope="module")
def client(cloud: CloudInThread) -> Iterator[ContainerAppsAPIClient]:
    yield from connected(cloud)


@pytest.fixture(scope="module")
def environment(cloud: CloudInThread, client: ContainerAppsAPIClient) -> Any:
    return made_environment(cloud, client, GROUP)


@pytest.fixture
def name(client: ContainerAppsAPIClient) -> Iterator[str]:
    yield from fresh_name(client, GROUP)


def test_a_start_names_the_execution_which_then_succeeds(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(GROUP, name, spec(environment)).result()
    started = client.jobs.begin_start(GROUP, name).result()
    assert started.name.startswith(f"{name}-")
    assert started.id.endswith(f"/jobs/{name}/executions/{started.name}")
    execution = finished(client, GROUP, name, started.name)
    assert execution.properties.status == "Succeeded"
    assert execution.properties.end_time >= execution.properties.start_time
    second = client.jobs.begin_start(GROUP, name).result()
    finished(client, GROUP, name, second.name)
    listed = [item.name for item in client.jobs_executions.list(GROUP, name)]
    assert listed == [second.name, started.name]
    failed = client.jobs_executions.list(GROUP, name, filter="properties/status eq 'Failed'")
    assert list(failed) == []


def test_a_start_with_another_template_lasts_one_execution(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(GROUP, name, spec(environment)).result()
    template = models.JobExecutionTemplate(
        containers=[
            models.JobExecutionContainer(
                name="main",
                image="python:3",
                args=["-c", "import os, sys; sys.exit(int(os.environ['CODE']))"],
                env=[models.EnvironmentVar(name="CODE", value="7")],
                resources=models.ContainerResources(cpu=0.25, memory="0.5Gi"),
            )
        ]
    )
    started = client.jobs.begin_start(GROUP, name, template).result()
    execution = finished(client, GROUP, name, started.name)
    assert execution.properties.status == "Failed"
    assert execution.properties.template.containers[0].env[0].value == "7"
    assert client.jobs.get(GROUP, name).properties.template.containers[0].env[0].name == "A"


def test_the_wrapped_template_of_the_docs_and_azs_stop_path_work_as_well(
    client: ContainerAppsAPIClient, cloud: CloudInThread, environment: Any, name: str
) -> None:
    sleeper = spec(environment, "-c", "import time; time.sleep(60)")
    client.jobs.begin_create_or_update(GROUP, name, sleeper).result()
    wire = Wire(cloud)
    job = f"{wire.subscription}/resourceGroups/{GROUP}/providers/Microsoft.App/jobs/{name}"
    read = wire.ask("GET", job).body["properties"]["template"]["containers"]
    answer = wire.ask("POST", f"{job}/start", {"template": {"containers": read}})
    assert answer.status in (200, 202)
    assert set(answer.body) == {"id", "name"}
    stopped = wire.ask("POST", f"{job}/stop/{answer.body['name']}")
    assert stopped.status in (200, 202)
    execution = finished(client, GROUP, name, answer.body["name"])
    assert execution.properties.status == "Stopped"
    replicas = wire.ask("GET", f"{answer.body['id']}/replicas").body["value"]
    assert replicas[0]["name"].startswith(answer.body["name"])
    one = wire.ask("GET", f"{answer.body['id']}/replicas/{replicas[0]['name'].upper()}")
    assert one.body["name"] == replicas[0]["name"]


def test_executions_are_stopped_one_by_one_and_all_at_once(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    sleeper = spec(environment, "-c", "import time; time.sleep(60)")
    client.jobs.begin_create_or_update(GROUP, name, sleeper).result()
    names = [client.jobs.begin_start(GROUP, name).result().name for _ in range(3)]
    client.jobs.begin_stop_execution(GROUP, name, names[0]).result()
    assert finished(client, GROUP, name, names[0]).properties.status == "Stopped"
    assert client.job_execution(GROUP, name, names[1]).properties.status == "Running"
    stopped = client.jobs.begin_stop_multiple_executions(GROUP, name).result()
    assert {item.name for item in stopped.value} == set(names[1:])
    for execution in names[1:]:
        assert finished(client, GROUP, name, execution).properties.status == "Stopped"


def test_unknown_jobs_and_executions_are_404(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(GROUP, name, spec(environment)).result()
    for ask in (
        lambda: client.jobs.begin_start(GROUP, "nobody").result(),
        lambda: list(client.jobs_executions.list(GROUP, "nobody")),
        lambda: client.job_execution(GROUP, name, f"{name}-zzzzzzz"),
        lambda: client.jobs.begin_stop_execution(GROUP, name, f"{name}-zzzzzzz").result(),
        lambda: client.jobs.list_secrets(GROUP, "nobody"),
        lambda: client.jobs.begin_suspend(GROUP, "nobody").result(),
    ):
        with pytest.raises(ResourceNotFoundError) as caught:
            ask()
        assert caught.value.error is not None
        assert caught.value.error.code


def test_a_suspended_job_starts_nothing_until_it_is_resumed(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(GROUP, name, spec(environment)).result()
    assert client.jobs.begin_suspend(GROUP, name).result().properties.running_state == "Suspended"
    with pytest.raises(ResourceExistsError) as caught:
        client.jobs.begin_start(GROUP, name).result()
    assert caught.value.error is not None
    assert caught.value.error.code == "JobSuspended"
    # A deployment does not wake it.
    job = client.jobs.begin_create_or_update(GROUP, name, spec(environment)).result()
    assert job.properties.running_state == "Suspended"
    assert client.jobs.begin_resume(GROUP, name).result().properties.running_state == "Ready"
    started = client.jobs.begin_start(GROUP, name).result()
    assert finished(client, GROUP, name, started.name).properties.status == "Succeeded"


def test_the_log_stream_opens_with_the_jobs_own_token_only(
    client: ContainerAppsAPIClient, cloud: CloudInThread, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(
        GROUP, name, spec(environment, "-c", "print('hello from', 'inside')")
    ).result()
    other = f"{name}-x"
    client.jobs.begin_create_or_update(GROUP, other, spec(environment)).result()
    started = client.jobs.begin_start(GROUP, name).result()
    finished(client, GROUP, name, started.name)
    wire = Wire(cloud)
    job = f"{wire.subscription}/resourceGroups/{GROUP}/providers/Microsoft.App/jobs"
    [replica] = wire.ask("GET", f"{started.id}/replicas").body["value"]
    endpoint = client.jobs.get(GROUP, name).properties.event_stream_endpoint
    path = (
        f"{endpoint.partition('/subscriptions/')[2].rpartition('/eventstream')[0]}"
        f"/executions/{started.name}/replicas/{replica['name']}/containers/main/logstream"
    )
    tokens = {
        which: wire.ask("POST", f"{job}/{which}/getAuthToken").body["properties"]["token"]
        for which in (name, other)
    }
    arm_token = wire.token

    def read(token: str | None) -> Any:
        wire.token = token
        return wire.ask("GET", f"/subscriptions/{path}?follow=false&output=text&tailLines=10")

    answer = read(tokens[name])
    assert answer.status == 200
    assert b"stdout F hello from inside" in answer.raw
    assert (read(tokens[other]).status, read(arm_token).status, read(None).status) == (
        403,
        401,
        401,
    )
    client.jobs.begin_delete(GROUP, other).result()


def test_a_replica_can_use_its_jobs_identity_and_no_other(
    client: ContainerAppsAPIClient, cloud: CloudInThread, environment: Any, name: str
) -> None:
    wire = Wire(cloud)
    group = f"{wire.subscription}/resourceGroups/{GROUP}"
    base = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    mine, theirs = (
        wire.ask("PUT", f"{base}/{which}", {"location": "westeurope"}).body
        for which in ("mine", "theirs")
    )
    program = """
import json, os, sys, urllib.error, urllib.request
def ask(client):
    url = f"{os.environ['IDENTITY_ENDPOINT']}?api-version=2019-08-01&resource=r&client_id={client}"
    headers = {"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"]}
    request = urllib.request.Request(url, headers=headers)
    try:
        return json.load(urllib.request.urlopen(request))["client_id"]
    except urllib.error.HTTPError as error:
        return error.code
sys.exit(0 if [ask(c) for c in sys.argv[1:]] == [sys.argv[1], 400] else 1)
"""
    clients = [body["properties"]["clientId"] for body in (mine, theirs)]
    job = spec(environment, "-c", program, *clients)
    job.identity = models.ManagedServiceIdentity(
        type="UserAssigned", user_assigned_identities={mine["id"]: models.UserAssignedIdentity()}
    )
    client.jobs.begin_create_or_update(GROUP, name, job).result()
    started = client.jobs.begin_start(GROUP, name).result()
    assert finished(client, GROUP, name, started.name).properties.status == "Succeeded"
