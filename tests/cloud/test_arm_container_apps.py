"""Jobs and environments through azure-mgmt-appcontainers, unmodified."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.mgmt.appcontainers import ContainerAppsAPIClient, models
from azure.mgmt.appcontainers.aio import ContainerAppsAPIClient as AsyncClient

from tests.cloud.wire import Wire
from tests.conftest import CloudInThread

GROUP = "apps"


@pytest.fixture(scope="module")
def client(cloud: CloudInThread) -> Iterator[ContainerAppsAPIClient]:
    with ContainerAppsAPIClient(
        cloud.credential,
        cloud.connection["subscription"],
        base_url=cloud.connection["resource_manager"],
        connection_verify=cloud.ca,
    ) as made:
        yield made


@pytest.fixture(scope="module")
def environment(cloud: CloudInThread, client: ContainerAppsAPIClient) -> Any:
    wire = Wire(cloud)
    wire.ask("PUT", f"{wire.subscription}/resourceGroups/{GROUP}", {"location": "westeurope"})
    return client.managed_environments.begin_create_or_update(
        GROUP,
        "world",
        models.ManagedEnvironment(
            location="West Europe",
            properties=models.ManagedEnvironmentProperties(
                app_logs_configuration=models.AppLogsConfiguration(
                    destination="log-analytics",
                    log_analytics_configuration=models.LogAnalyticsConfiguration(
                        customer_id=str(uuid.uuid4()), shared_key="write-only"
                    ),
                )
            ),
        ),
    ).result()


def spec(environment: Any, *args: str, **configuration: Any) -> models.Job:
    """A manual job that runs Python with these arguments."""
    return models.Job(
        location="westeurope",
        properties=models.JobProperties(
            environment_id=environment.id,
            configuration=models.JobConfiguration(
                **(
                    {"trigger_type": "Manual", "replica_timeout": 60, "replica_retry_limit": 0}
                    | configuration
                )
            ),
            template=models.JobTemplate(
                containers=[
                    models.Container(
                        name="main",
                        image="python:3",
                        args=list(args) or ["-c", "pass"],
                        env=[models.EnvironmentVar(name="A", value="1")],
                        resources=models.ContainerResources(cpu=0.25, memory="0.5Gi"),
                    )
                ]
            ),
        ),
    )


@pytest.fixture
def name(client: ContainerAppsAPIClient) -> Iterator[str]:
    """A job name that nobody has; the job is deleted at the end."""
    made = f"j-{uuid.uuid4().hex[:8]}"
    yield made
    client.jobs.begin_delete(GROUP, made).result()


def finished(client: ContainerAppsAPIClient, job: str, execution: str) -> Any:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = client.job_execution(GROUP, job, execution)
        if found.properties.status not in ("Running", "Processing"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{execution} does not end")


# -------------------------------------------------------------- environments ----


def test_an_environment_says_where_it_is_and_hides_its_key(
    client: ContainerAppsAPIClient, environment: Any
) -> None:
    properties = client.managed_environments.get(GROUP, "WORLD").properties
    assert properties.provisioning_state == "Succeeded"
    assert properties.default_domain.endswith(".westeurope.azurecontainerapps.io")
    assert properties.event_stream_endpoint.startswith("https://127.0.0.1")
    analytics = properties.app_logs_configuration.log_analytics_configuration
    assert analytics.customer_id
    assert analytics.shared_key is None
    assert environment.location == "westeurope"


def test_an_environment_that_jobs_live_in_stays(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(GROUP, name, spec(environment)).result()
    with pytest.raises(ResourceExistsError) as caught:
        client.managed_environments.begin_delete(GROUP, "world").result()
    assert caught.value.error is not None
    assert caught.value.error.code == "ManagedEnvironmentInUse"
    assert name in str(caught.value)


# ---------------------------------------------------------------------- jobs ----


def test_a_job_is_created_read_listed_and_deleted(
    client: ContainerAppsAPIClient, environment: Any
) -> None:
    job = f"j-{uuid.uuid4().hex[:8]}"
    made = client.jobs.begin_create_or_update(GROUP, job, spec(environment)).result()
    assert made.properties.provisioning_state == "Succeeded"
    assert made.properties.running_state == "Ready"
    assert made.properties.configuration.manual_trigger_config.parallelism == 1
    again = client.jobs.get(GROUP.upper(), job.upper())
    assert again.as_dict() == made.as_dict()
    assert job in [item.name for item in client.jobs.list_by_resource_group(GROUP)]
    assert job in [item.name for item in client.jobs.list_by_subscription()]
    client.jobs.begin_delete(GROUP, job).result()
    with pytest.raises(ResourceNotFoundError) as caught:
        client.jobs.get(GROUP, job)
    assert caught.value.error is not None
    assert caught.value.error.code == "ResourceNotFound"
    client.jobs.begin_delete(GROUP, job).result()


def test_what_was_read_can_be_put_again_and_changes_nothing(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(GROUP, name, spec(environment)).result()
    read = client.jobs.get(GROUP, name)
    client.jobs.begin_create_or_update(GROUP, name, read).result()
    before, after = read.as_dict(), client.jobs.get(GROUP, name).as_dict()
    before.pop("systemData")
    after.pop("systemData")
    assert after == before


def test_an_update_merges_and_the_rest_stays(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(GROUP, name, spec(environment)).result()
    patch = models.JobPatchProperties(
        tags={"team": "blue"},
        properties=models.JobPatchPropertiesProperties(
            configuration=models.JobConfiguration(
                trigger_type="Schedule",
                replica_timeout=90,
                schedule_trigger_config=models.JobConfigurationScheduleTriggerConfig(
                    cron_expression="0 0 1 1 *"
                ),
            )
        ),
    )
    job = client.jobs.begin_update(GROUP, name, patch).result()
    assert job.tags == {"team": "blue"}
    configuration = job.properties.configuration
    assert configuration.trigger_type == "Schedule"
    assert configuration.replica_timeout == 90
    assert configuration.manual_trigger_config is None
    assert job.properties.template.containers[0].image == "python:3"


def test_secrets_are_told_only_by_list_secrets(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    job = spec(environment, secrets=[models.Secret(name="key", value="very secret")])
    made = client.jobs.begin_create_or_update(GROUP, name, job).result()
    assert [(secret.name, secret.value) for secret in made.properties.configuration.secrets] == [
        ("key", None)
    ]
    assert "very secret" not in str(client.jobs.get(GROUP, name).as_dict())
    [secret] = client.jobs.list_secrets(GROUP, name).value
    assert (secret.name, secret.value) == ("key", "very secret")
    client.jobs.begin_update(GROUP, name, models.JobPatchProperties(tags={"a": "b"})).result()
    assert client.jobs.list_secrets(GROUP, name).value[0].value == "very secret"
    # A job without its secrets' values is no longer the job it was: the service refuses it.
    with pytest.raises(HttpResponseError, match="value or keyVaultUrl"):
        client.jobs.begin_create_or_update(GROUP, name, client.jobs.get(GROUP, name)).result()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"replica_timeout": 0}, "InvalidRequestParameterWithDetails"),
        (
            {
                "trigger_type": "Schedule",
                "schedule_trigger_config": models.JobConfigurationScheduleTriggerConfig(
                    cron_expression="0 */5 * * * *"
                ),
            },
            "InvalidCronExpression",
        ),
    ],
)
def test_a_bad_configuration_is_refused_with_its_code(
    client: ContainerAppsAPIClient, environment: Any, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(HttpResponseError) as caught:
        client.jobs.begin_create_or_update(GROUP, "bad", spec(environment, **change)).result()
    assert caught.value.status_code == 400
    assert caught.value.error is not None
    assert caught.value.error.code == code
    with pytest.raises(ResourceNotFoundError):
        client.jobs.get(GROUP, "bad")


def test_a_bad_template_name_or_environment_is_refused(
    client: ContainerAppsAPIClient, environment: Any
) -> None:
    def code(job: str, body: models.Job) -> str:
        with pytest.raises(HttpResponseError) as caught:
            client.jobs.begin_create_or_update(GROUP, job, body).result()
        assert caught.value.error is not None
        return str(caught.value.error.code)

    body = spec(environment)
    body.properties.template.containers[0].resources.memory = "4Gi"
    assert code("bad", body) == "ContainerAppInvalidResourceTotal"
    assert code("Bad--Name", spec(environment)) == "ContainerAppInvalidName"
    body = spec(environment)
    body.properties.template.containers[0].env = [
        models.EnvironmentVar(name="A", secret_ref="nope")
    ]
    assert code("bad", body) == "ContainerAppSecretRefNotFound"
    body = spec(environment)
    body.properties.environment_id += "x"
    assert code("bad", body) == "ManagedEnvironmentNotFound"


# ---------------------------------------------------------------- executions ----


def test_a_start_names_the_execution_which_then_succeeds(
    client: ContainerAppsAPIClient, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(GROUP, name, spec(environment)).result()
    started = client.jobs.begin_start(GROUP, name).result()
    assert started.name.startswith(f"{name}-")
    assert started.id.endswith(f"/jobs/{name}/executions/{started.name}")
    execution = finished(client, name, started.name)
    assert execution.properties.status == "Succeeded"
    assert execution.properties.end_time >= execution.properties.start_time
    second = client.jobs.begin_start(GROUP, name).result()
    finished(client, name, second.name)
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
    execution = finished(client, name, started.name)
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
    execution = finished(client, name, answer.body["name"])
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
    assert finished(client, name, names[0]).properties.status == "Stopped"
    assert client.job_execution(GROUP, name, names[1]).properties.status == "Running"
    stopped = client.jobs.begin_stop_multiple_executions(GROUP, name).result()
    assert {item.name for item in stopped.value} == set(names[1:])
    for execution in names[1:]:
        assert finished(client, name, execution).properties.status == "Stopped"


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
    assert finished(client, name, started.name).properties.status == "Succeeded"


def test_the_log_stream_opens_with_the_jobs_own_token_only(
    client: ContainerAppsAPIClient, cloud: CloudInThread, environment: Any, name: str
) -> None:
    client.jobs.begin_create_or_update(
        GROUP, name, spec(environment, "-c", "print('hello from', 'inside')")
    ).result()
    other = f"{name}-x"
    client.jobs.begin_create_or_update(GROUP, other, spec(environment)).result()
    started = client.jobs.begin_start(GROUP, name).result()
    finished(client, name, started.name)
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
    assert finished(client, name, started.name).properties.status == "Succeeded"


def test_a_bad_token_is_an_authentication_error(cloud: CloudInThread) -> None:
    class Bad:
        def get_token(self, *_: str, **__: Any) -> Any:
            from azure.core.credentials import AccessToken

            return AccessToken("nonsense", int(time.time()) + 3600)

    with (
        ContainerAppsAPIClient(
            Bad(),
            cloud.connection["subscription"],
            base_url=cloud.connection["resource_manager"],
            connection_verify=cloud.ca,
        ) as stranger,
        pytest.raises(ClientAuthenticationError) as caught,
    ):
        list(stranger.jobs.list_by_subscription())
    assert caught.value.error is not None
    assert caught.value.error.code == "InvalidAuthenticationToken"


async def test_the_async_client_is_served_as_well(
    cloud: CloudInThread, environment: Any, client: ContainerAppsAPIClient, name: str
) -> None:
    class Credential:
        async def get_token(self, *scopes: str, **_: Any) -> Any:
            return cloud.credential.get_token(*scopes)

        async def close(self) -> None: ...

        async def __aenter__(self) -> Credential:
            return self

        async def __aexit__(self, *_: object) -> None: ...

    async with AsyncClient(
        Credential(),
        cloud.connection["subscription"],
        base_url=cloud.connection["resource_manager"],
        connection_verify=cloud.ca,
    ) as asynchronous:
        poller = await asynchronous.jobs.begin_create_or_update(GROUP, name, spec(environment))
        assert (await poller.result()).name == name
        started = await (await asynchronous.jobs.begin_start(GROUP, name)).result()
        listed = [item.name async for item in asynchronous.jobs_executions.list(GROUP, name)]
        assert listed == [started.name]
    finished(client, name, started.name)


def test_an_app_beside_the_jobs_has_an_address(
    client: ContainerAppsAPIClient, environment: Any
) -> None:
    def app(**ingress: Any) -> models.ContainerApp:
        return models.ContainerApp(
            location="West Europe",
            properties=models.ContainerAppProperties(
                environment_id=environment.id,
                configuration=models.Configuration(
                    secrets=[models.Secret(name="s", value="hush")],
                    ingress=models.Ingress(target_port=80, **ingress),
                ),
                template=models.Template(
                    containers=[models.Container(name="c", image="example.azurecr.io/c:1")]
                ),
            ),
        )

    domain = environment.properties.default_domain
    apps = client.container_apps
    made = apps.begin_create_or_update(GROUP, "site", app(external=True)).result()
    assert made.properties.configuration.ingress.fqdn == f"site.{domain}"
    made = apps.begin_create_or_update(GROUP, "site", app()).result()
    assert made.properties.configuration.ingress.fqdn == f"site.internal.{domain}"
    assert apps.get(GROUP, "site").properties.configuration.secrets[0].value is None
    assert apps.list_secrets(GROUP, "site").value[0].value == "hush"
    wrong = app()
    wrong.properties.environment_id += "2"
    with pytest.raises(HttpResponseError) as refused:
        apps.begin_create_or_update(GROUP, "nowhere", wrong)
    assert refused.value.error.code == "ManagedEnvironmentNotFound"
    apps.begin_delete(GROUP, "site").result()
