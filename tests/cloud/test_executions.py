"""Executions through the unmodified azure-mgmt-appcontainers, with real processes behind them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.appcontainers import ContainerAppsAPIClient
from azure.mgmt.appcontainers import models as m

from orchestrator.clock import ManualClock
from tests.conftest import CloudInThread

GROUP = "executions"

PAYLOAD = """
import json, os, pathlib, signal, sys, time, urllib.request
here = pathlib.Path.cwd()
name = os.environ["CONTAINER_APP_REPLICA_NAME"]
what = os.environ.get("DO", "end")
if what == "environment":
    (here / "environment.json").write_text(json.dumps(dict(os.environ)))
if what == "token":
    request = urllib.request.Request(
        os.environ["IDENTITY_ENDPOINT"]
        + "?api-version=2019-08-01&resource=https://servicebus.azure.net",
        headers={"X-IDENTITY-HEADER": os.environ["IDENTITY_HEADER"]})
    answer = json.load(urllib.request.urlopen(request))
    print("token of type", answer["token_type"])
if what == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print("waiting", flush=True)
    while True:
        time.sleep(0.05)
if what == "flaky":
    seen = here / ("seen-" + name)
    if not seen.exists():
        seen.touch()
        sys.exit(5)
print("args", sys.argv[1:])
sys.exit(int(os.environ.get("CODE", "0")))
"""


class Bench:
    """A local cloud with a project, and a client for it."""

    def __init__(self, folder: Path, clock: ManualClock | None = None) -> None:
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "payload.py").write_text(PAYLOAD)
        (self.project / "orchestrator.toml").write_text(
            '[images.payload]\nprocess = ["{python}", "payload.py"]\n'
            '[images.absent]\nprocess = ["no-such-program-anywhere"]\n'
        )
        self.cloud = CloudInThread(folder / "state", self.project, clock)
        self.client = ContainerAppsAPIClient(
            self.cloud.credential,
            self.cloud.connection["subscription"],
            base_url=self.cloud.connection["resource_manager"],
            credential_scopes=["https://management.azure.com/.default"],
            connection_verify=self.cloud.ca,
            polling_interval=0.1,
        )
        self._make_group()
        self.environment = self.client.managed_environments.begin_create_or_update(
            GROUP, "bench", m.ManagedEnvironment(location="westeurope")
        ).result()

    def _make_group(self) -> None:
        from azure.mgmt.resource.resources import ResourceManagementClient

        with ResourceManagementClient(
            self.cloud.credential,
            self.cloud.connection["subscription"],
            base_url=self.cloud.connection["resource_manager"],
            credential_scopes=["https://management.azure.com/.default"],
            connection_verify=self.cloud.ca,
        ) as resources:
            resources.resource_groups.create_or_update(GROUP, {"location": "westeurope"})

    def job(
        self,
        name: str,
        *,
        image: str = "acr.azurecr.io/payload:1.0",
        env: dict[str, str] | None = None,
        template: m.JobTemplate | None = None,
        identity: bool = False,
        **configuration: Any,
    ) -> m.Job:
        settings: dict[str, Any] = {
            "trigger_type": "Manual",
            "replica_timeout": 120,
            "replica_retry_limit": 0,
            **configuration,
        }
        container = m.Container(
            name="main",
            image=image,
            env=[m.EnvironmentVar(name=k, value=v) for k, v in (env or {}).items()],
            resources=m.ContainerResources(cpu=0.25, memory="0.5Gi"),
        )
        return self.client.jobs.begin_create_or_update(
            GROUP,
            name,
            m.Job(
                location="westeurope",
                identity=m.ManagedServiceIdentity(type="SystemAssigned") if identity else None,
                environment_id=self.environment.id,
                configuration=m.JobConfiguration(**settings),
                template=template or m.JobTemplate(containers=[container]),
            ),
        ).result()

    def start(self, job: str, override: m.JobExecutionTemplate | None = None) -> str:
        started = self.client.jobs.begin_start(GROUP, job, override).result()
        assert re.fullmatch(rf"{job}-[a-z0-9]{{7}}", started.name)
        assert started.id.endswith(f"/jobs/{job}/executions/{started.name}")
        return str(started.name)

    def execution(self, job: str, name: str) -> m.JobExecution:
        return self.client.job_execution(GROUP, job, name)

    def ended(self, job: str, name: str) -> m.JobExecution:
        def over() -> m.JobExecution | None:
            found = self.execution(job, name)
            return found if found.status not in ("Running", "Processing") else None

        found: m.JobExecution = self.cloud.until(over)
        return found

    def executions(self, job: str) -> list[m.JobExecution]:
        return list(self.client.jobs_executions.list(GROUP, job))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    built = Bench(tmp_path_factory.mktemp("executions"))
    yield built
    built.client.close()
    built.cloud.stop()


def test_an_execution_from_start_to_end(bench: Bench) -> None:
    bench.job("whole")
    name = bench.start("whole")
    found = bench.ended("whole", name)
    assert found.status == "Succeeded"
    assert found.start_time <= found.end_time
    assert found.start_time.tzinfo is not None
    assert datetime.now(UTC) - found.start_time < timedelta(minutes=5)
    [replica] = found.detailed_status.replicas
    assert replica.name.startswith(f"{name}-")
    [container] = replica.containers
    assert (container.name, container.code, container.status) == ("main", 0, "Succeeded")
    assert found.template.containers[0].image == "acr.azurecr.io/payload:1.0"
    assert [one.name for one in bench.executions("whole")] == [name]


def test_executions_are_listed_newest_first_in_azures_shape(bench: Bench) -> None:
    bench.job("many")
    names = [bench.start("many") for _ in range(3)]
    for name in names:
        bench.ended("many", name)
    listed = bench.executions("many")
    assert [one.name for one in listed] == names[::-1]
    raw = listed[0].as_dict()
    assert raw["type"] == "Microsoft.App/jobs/executions"
    assert {"status", "startTime", "endTime", "template", "detailedStatus"} <= set(
        raw["properties"]
    )


def test_a_failure_has_its_exit_code_and_reason(bench: Bench) -> None:
    bench.job("failing", env={"CODE": "3"})
    found = bench.ended("failing", bench.start("failing"))
    assert (found.status, found.reason) == ("Failed", "BackoffLimitExceeded")
    assert found.detailed_status.replicas[0].containers[0].code == 3


def test_an_unknown_image_fails_with_the_reason(bench: Bench) -> None:
    bench.job("unknown", image="acr.azurecr.io/nobody:9")
    found = bench.ended("unknown", bench.start("unknown"))
    assert (found.status, found.reason) == ("Failed", "ImagePullFailure")
    assert "[images.nobody]" in found.message
    assert "absent, payload" in found.message


def test_a_missing_program_fails_with_the_reason(bench: Bench) -> None:
    bench.job("absent", image="absent")
    found = bench.ended("absent", bench.start("absent"))
    assert (found.status, found.reason) == ("Failed", "ContainerStartFailure")
    assert "executable file not found" in found.message


def test_the_environment_of_a_replica(bench: Bench) -> None:
    container = m.Container(
        name="main",
        image="payload",
        env=[
            m.EnvironmentVar(name="DO", value="environment"),
            m.EnvironmentVar(name="KEY", secret_ref="key"),
        ],
    )
    bench.job(
        "environment",
        template=m.JobTemplate(containers=[container]),
        identity=True,
        secrets=[m.Secret(name="key", value="very secret")],
    )
    name = bench.start("environment")
    found = bench.ended("environment", name)
    assert found.status == "Succeeded"
    env = json.loads((bench.project / "environment.json").read_text())
    assert env["KEY"] == "very secret"
    assert env["CONTAINER_APP_JOB_NAME"] == "environment"
    assert env["CONTAINER_APP_JOB_EXECUTION_NAME"] == name
    assert env["CONTAINER_APP_REPLICA_NAME"] == found.detailed_status.replicas[0].name
    assert env["PYTHONUNBUFFERED"] == "1"
    assert env["IDENTITY_ENDPOINT"] == bench.cloud.connection["identity"]["endpoint"]
    assert env["IDENTITY_HEADER"] != bench.cloud.connection["identity"]["header"]
    assert env["SSL_CERT_FILE"] == bench.cloud.connection["ca_bundle"]
    assert "very secret" not in json.dumps(found.as_dict())


def test_a_replica_gets_tokens_from_its_identity(bench: Bench) -> None:
    bench.job("tokens", env={"DO": "token"}, identity=True)
    assert bench.ended("tokens", bench.start("tokens")).status == "Succeeded"
    bench.job("tokenless", env={"DO": "token"})
    assert bench.ended("tokenless", bench.start("tokenless")).status == "Failed"


def test_an_override_is_for_one_execution(bench: Bench) -> None:
    bench.job("overridden", env={"CODE": "4"})
    container = m.JobExecutionContainer(name="main", image="payload", args=["--x", "1"])
    name = bench.start("overridden", m.JobExecutionTemplate(containers=[container]))
    found = bench.ended("overridden", name)
    assert found.status == "Succeeded", "CODE was not sent, so it is not set"
    assert found.template.containers[0].args == ["--x", "1"]
    assert bench.ended("overridden", bench.start("overridden")).status == "Failed"


def test_an_override_without_an_image_is_refused(bench: Bench) -> None:
    bench.job("imageless")
    container = m.JobExecutionContainer(name="main", env=[])
    with pytest.raises(HttpResponseError, match="must have an 'Image' property") as refusal:
        bench.start("imageless", m.JobExecutionTemplate(containers=[container]))
    assert refusal.value.error.code == "ContainerAppImageRequired"
    assert bench.executions("imageless") == []


def test_stop_ends_the_replica(bench: Bench) -> None:
    bench.job("stopped", env={"DO": "wait"})
    name = bench.start("stopped")
    bench.cloud.until(lambda: bench.execution("stopped", name).detailed_status.replicas)
    bench.client.jobs.begin_stop_execution(GROUP, "stopped", name).result()
    found = bench.ended("stopped", name)
    assert found.status == "Stopped"
    assert found.end_time is not None


def test_stop_of_all_answers_with_what_it_stopped(bench: Bench) -> None:
    bench.job("halted", env={"DO": "wait"})
    names = {bench.start("halted") for _ in range(2)}
    stopped = bench.client.jobs.begin_stop_multiple_executions(GROUP, "halted").result()
    assert {one.name for one in stopped.value} == names
    assert {one.status for one in bench.executions("halted")} == {"Stopped"}


def test_parallel_replicas_each_have_their_status(bench: Bench) -> None:
    bench.job(
        "parallel",
        manual_trigger_config=m.JobConfigurationManualTriggerConfig(
            parallelism=2, replica_completion_count=3
        ),
    )
    found = bench.ended("parallel", bench.start("parallel"))
    assert found.status == "Succeeded"
    assert len({replica.name for replica in found.detailed_status.replicas}) == 3


def test_init_containers_and_several_containers(bench: Bench) -> None:
    template = m.JobTemplate(
        init_containers=[m.InitContainer(name="first", image="payload")],
        containers=[
            m.Container(name="one", image="payload"),
            m.Container(name="two", image="payload", args=["b"]),
        ],
    )
    bench.job("pod", template=template)
    found = bench.ended("pod", bench.start("pod"))
    assert found.status == "Succeeded"
    names = [container.name for container in found.detailed_status.replicas[0].containers]
    assert names == ["first", "one", "two"]


def test_unknown_names_are_404(bench: Bench) -> None:
    bench.job("known")
    with pytest.raises(ResourceNotFoundError):
        bench.client.jobs.begin_start(GROUP, "nobody").result()
    with pytest.raises(ResourceNotFoundError):
        bench.execution("known", "known-zzzzzzz")
    with pytest.raises(ResourceNotFoundError):
        bench.client.jobs.begin_stop_execution(GROUP, "known", "known-zzzzzzz").result()


def test_a_suspended_job_does_not_start_until_it_is_resumed(bench: Bench) -> None:
    bench.job("paused")
    bench.client.jobs.begin_suspend(GROUP, "paused").result()
    with pytest.raises(HttpResponseError, match="is suspended") as refusal:
        bench.start("paused")
    assert refusal.value.status_code == 409
    bench.client.jobs.begin_resume(GROUP, "paused").result()
    assert bench.ended("paused", bench.start("paused")).status == "Succeeded"


def test_deleting_a_job_stops_and_forgets_its_executions(bench: Bench) -> None:
    bench.job("deleted", env={"DO": "wait"})
    bench.start("deleted")
    bench.client.jobs.begin_delete(GROUP, "deleted").result()
    bench.job("deleted")
    assert bench.executions("deleted") == []


def test_a_scheduled_job_fires_when_its_time_comes_and_retries_wait(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 5, 1, 11, 58, 30, tzinfo=UTC))
    bench = Bench(tmp_path, clock)
    try:
        bench.job(
            "ticking",
            trigger_type="Schedule",
            schedule_trigger_config=m.JobConfigurationScheduleTriggerConfig(
                cron_expression="0 12 * * *"
            ),
            replica_retry_limit=1,
            replica_timeout=600,
            env={"DO": "flaky"},
        )
        bench.cloud.call(clock.advance(89))
        assert bench.executions("ticking") == []
        bench.cloud.call(clock.advance(1))
        [fired] = bench.executions("ticking")
        assert fired.start_time == datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

        def failed_once() -> bool:
            container = bench.executions("ticking")[0].detailed_status.replicas[0].containers[0]
            return container.code == 5

        bench.cloud.until(failed_once)
        assert bench.executions("ticking")[0].status == "Running"
        bench.cloud.call(clock.advance(10))
        assert bench.ended("ticking", fired.name).status == "Succeeded"
    finally:
        bench.client.close()
        bench.cloud.stop()


def test_messages_on_a_queue_start_executions(bench: Bench) -> None:
    from azure.mgmt.servicebus import ServiceBusManagementClient
    from azure.servicebus import ServiceBusClient, ServiceBusMessage, TransportType

    connection = bench.cloud.connection
    with ServiceBusManagementClient(
        bench.cloud.credential,
        connection["subscription"],
        base_url=connection["resource_manager"],
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=bench.cloud.ca,
        polling_interval=0.1,
    ) as management:
        management.namespaces.begin_create_or_update(
            GROUP, "events", {"location": "westeurope", "sku": {"name": "Standard"}}
        ).result()
        management.queues.create_or_update(GROUP, "events", "work", {})
        keys = management.namespaces.list_keys(GROUP, "events", "RootManageSharedAccessKey")
    with (
        ServiceBusClient(
            "events.servicebus.windows.net",
            bench.cloud.credential,
            custom_endpoint_address=f"sb://{connection['service_bus']['amqps']}",
            connection_verify=bench.cloud.ca,
            transport_type=TransportType.Amqp,
        ) as bus,
        bus.get_queue_sender("work") as sender,
    ):
        sender.send_messages([ServiceBusMessage(str(n)) for n in range(7)])
    rule = m.JobScaleRule(
        name="work",
        type="azure-servicebus",
        metadata={"queueName": "work", "messageCount": "3"},
        auth=[m.ScaleRuleAuth(secret_ref="bus", trigger_parameter="connection")],
    )
    bench.job(
        "eventful",
        trigger_type="Event",
        env={"DO": "wait"},
        secrets=[m.Secret(name="bus", value=keys.primary_connection_string)],
        event_trigger_config=m.JobConfigurationEventTriggerConfig(
            parallelism=1,
            replica_completion_count=1,
            scale=m.JobScale(min_executions=0, max_executions=10, polling_interval=1, rules=[rule]),
        ),
    )
    # ceil(7 / 3) = 3, and no more while they run.
    bench.cloud.until(lambda: len(bench.executions("eventful")) >= 3)
    bench.client.jobs.begin_suspend(GROUP, "eventful").result()
    assert len(bench.executions("eventful")) == 3
    bench.client.jobs.begin_stop_multiple_executions(GROUP, "eventful").result()


def test_after_a_restart_of_the_cloud_the_history_is_there(bench: Bench) -> None:
    bench.job("lasting")
    name = bench.start("lasting")
    before = bench.ended("lasting", name).as_dict()
    held = bench.job("held", env={"DO": "wait"})
    running = bench.start("held")
    bench.cloud.until(lambda: bench.execution("held", running).detailed_status.replicas)
    runtime = bench.cloud.server.runtime
    assert runtime is not None

    async def again() -> None:
        await runtime.stop()
        await runtime.start()

    bench.cloud.call(again())
    assert bench.execution("lasting", name).as_dict() == before
    found = bench.execution("held", running)
    assert found.status == "Running"
    assert held.id in found.id
    bench.client.jobs.begin_stop_execution(GROUP, "held", running).result()
    assert bench.execution("held", running).status == "Stopped"


def test_a_cloud_that_stops_leaves_nothing_in_its_loop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.job("quick")
    bench.ended("quick", bench.start("quick"))
    bench.job("held", env={"DO": "wait"})
    running = bench.start("held")
    bench.cloud.until(lambda: bench.execution("held", running).detailed_status.replicas)
    bench.client.close()

    async def left() -> list[str]:
        await bench.cloud.server.stop()
        mine = asyncio.current_task()
        return [str(task) for task in asyncio.all_tasks() if task is not mine]

    assert bench.cloud.call(left()) == []
    bench.cloud.stop()
