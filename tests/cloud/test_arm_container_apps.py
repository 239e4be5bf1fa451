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

from tests.cloud.container_apps_world import (
    connected,
    finished,
    fresh_name,
    made_environment,
    spec,
)
from tests.conftest import CloudInThread

GROUP = "apps"


@pytest.fixture(scope="module")
def client(cloud: CloudInThread) -> Iterator[ContainerAppsAPIClient]:
    yield from connected(cloud)


@pytest.fixture(scope="module")
def environment(cloud: CloudInThread, client: ContainerAppsAPIClient) -> Any:
    return made_environment(cloud, client, GROUP)


@pytest.fixture
def name(client: ContainerAppsAPIClient) -> Iterator[str]:
    yield from fresh_name(client, GROUP)


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
    finished(client, GROUP, name, started.name)


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
