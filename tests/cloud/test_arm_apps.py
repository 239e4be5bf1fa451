"""Container apps through azure-mgmt-appcontainers, beside the jobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.appcontainers import ContainerAppsAPIClient, models

from tests.cloud import container_apps_world as the
from tests.conftest import CloudInThread

GROUP = "apps"


@pytest.fixture(scope="module")
def client(cloud: CloudInThread) -> Iterator[ContainerAppsAPIClient]:
    yield from the.connected(cloud)


@pytest.fixture(scope="module")
def environment(cloud: CloudInThread, client: ContainerAppsAPIClient) -> Any:
    return the.made_environment(cloud, client, GROUP)


def app(environment: Any, image: str) -> models.ContainerApp:
    return models.ContainerApp(
        location="westeurope",
        properties=models.ContainerAppProperties(
            environment_id=environment.id,
            configuration=models.Configuration(
                active_revisions_mode="Multiple",
                ingress=models.Ingress(external=True, target_port=80),
                secrets=[models.Secret(name="s", value="hush")],
            ),
            template=models.Template(
                containers=[
                    models.Container(
                        name="main",
                        image=image,
                        resources=models.ContainerResources(cpu=0.25, memory="0.5Gi"),
                    )
                ],
                scale=models.Scale(min_replicas=0, max_replicas=3),
            ),
        ),
    )


def test_an_app_and_its_revisions(client: ContainerAppsAPIClient, environment: Any) -> None:
    apps, revisions = client.container_apps, client.container_apps_revisions
    made = apps.begin_create_or_update(GROUP, "web", app(environment, "a:1")).result()
    assert made.properties.provisioning_state == "Succeeded"
    assert made.properties.latest_ready_revision_name == "web--0000001"
    assert made.properties.configuration.ingress.fqdn.startswith("web.")
    assert made.properties.configuration.secrets[0].value is None
    assert apps.list_secrets(GROUP, "web").value[0].value == "hush"
    patch = models.ContainerApp(
        location="westeurope",
        properties=models.ContainerAppProperties(
            template=models.Template(
                containers=[models.Container(name="main", image="a:2")],
            )
        ),
    )
    apps.begin_update(GROUP, "web", patch).result()
    found = list(revisions.list_revisions(GROUP, "web"))
    assert [(it.name, it.properties.active) for it in found] == [
        ("web--0000001", True),
        ("web--0000002", True),
    ]
    revisions.deactivate_revision(GROUP, "web", "web--0000001")
    active = revisions.list_revisions(GROUP, "web", filter="properties/active eq true")
    assert [it.name for it in active] == ["web--0000002"]
    revisions.activate_revision(GROUP, "web", "web--0000001")
    revisions.restart_revision(GROUP, "web", "web--0000001")
    one = revisions.get_revision(GROUP, "web", "web--0000002").properties
    assert (one.active, one.traffic_weight, one.provisioning_state) == (True, 100, "Provisioned")
    assert one.template.containers[0].image == "a:2"
    replicas = client.container_apps_revision_replicas
    assert replicas.list_replicas(GROUP, "web", "web--0000002").value == []
    with pytest.raises(ResourceNotFoundError):
        replicas.get_replica(GROUP, "web", "web--0000002", "web--0000002-x")
    assert apps.begin_stop(GROUP, "web").result().properties.running_status == "Stopped"
    assert apps.begin_start(GROUP, "web").result().properties.running_status == "Running"
    token = apps.get_auth_token(GROUP, "web")
    assert token.properties.token
    with pytest.raises(HttpResponseError) as refused:
        client.managed_environments.begin_delete(GROUP, environment.name).result()
    assert "the apps 'web' live in it" in str(refused.value)
    apps.begin_delete(GROUP, "web").result()
    assert list(apps.list_by_resource_group(GROUP)) == []
