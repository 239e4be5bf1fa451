"""Container Apps through azure-mgmt-appcontainers: an environment, jobs that run Python."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

from azure.mgmt.appcontainers import ContainerAppsAPIClient, models

from tests.cloud.wire import Wire
from tests.conftest import CloudInThread


def connected(cloud: CloudInThread) -> Iterator[ContainerAppsAPIClient]:
    """A client of the local cloud."""
    with ContainerAppsAPIClient(
        cloud.credential,
        cloud.connection["subscription"],
        base_url=cloud.connection["resource_manager"],
        connection_verify=cloud.ca,
    ) as made:
        yield made


def made_environment(cloud: CloudInThread, client: ContainerAppsAPIClient, group: str) -> Any:
    """An environment named "world" in a resource group that is made for it."""
    wire = Wire(cloud)
    wire.ask("PUT", f"{wire.subscription}/resourceGroups/{group}", {"location": "westeurope"})
    return client.managed_environments.begin_create_or_update(
        group,
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


def fresh_name(client: ContainerAppsAPIClient, group: str) -> Iterator[str]:
    """A job name that nobody has; the job is deleted at the end."""
    made = f"j-{uuid.uuid4().hex[:8]}"
    yield made
    client.jobs.begin_delete(group, made).result()


def finished(client: ContainerAppsAPIClient, group: str, job: str, execution: str) -> Any:
    """The execution once it has ended."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = client.job_execution(group, job, execution)
        if found.properties.status not in ("Running", "Processing"):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{execution} does not end")
