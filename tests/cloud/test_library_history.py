"""Executions that Resource Manager no longer lists, starting one again, and why one failed."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.pipeline.transport import RequestsTransport

from orchestrator.azure.clients import Clients
from orchestrator.errors import ExecutionNotFound, InvalidRequest, JobNotFound
from orchestrator.localcloud.runtime.model import ExecutionRecord, Status
from orchestrator.localcloud.steering.client import SteeringClient
from orchestrator.logs import system_log
from tests.cloud.library_world import World

T0 = 1_790_000_000.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("history"))
    made.orc.up()
    fill(made, "nightly", 130)
    yield made
    made.close()


def fill(world: World, job: str, count: int, *, listed: int = 100) -> None:
    """Executions that ran once: all of them in the system log, the newest in the list."""
    resource = world.orc.job(job)

    async def write() -> None:
        runtime = world.cloud.server.runtime
        known = runtime._store
        for n in range(count):
            name, began = f"{job}-{n:07d}", T0 + 60 * n
            record = ExecutionRecord(
                job_id=resource.id, name=name, trigger="Schedule",
                status=Status.FAILED if n % 10 == 0 else Status.SUCCEEDED,
                started=began, ended=began + 5, template=resource.raw["properties"]["template"],
            )  # fmt: skip
            if n >= count - listed:
                known.add([record], bounded=True)
                known.save(record)
            for at, reason in (
                (began, "SuccessfulCreate"),
                (began + 5, "BackoffLimitExceeded" if n % 10 == 0 else "Completed"),
            ):
                event(world, resource.id, job, name, at, reason)
        await world.cloud.server.logs.flush()

    world.cloud.call(write())


def event(world: World, id_: str, job: str, name: str, at: float, reason: str) -> None:
    from orchestrator.localcloud.logs.model import SystemEvent

    world.cloud.server.logs.system(
        SystemEvent(
            time=at,
            job=job,
            execution=name,
            replica="",
            reason=reason,
            text=reason,
            type="Normal",
            environment="local",
            resource_id=id_,
        )
    )


def test_what_is_no_longer_listed_is_told_from_the_logs_once_and_marked(world: World) -> None:
    found = world.orc.executions("nightly")
    assert [e.name for e in found] == [f"nightly-{n:07d}" for n in reversed(range(130))]
    assert [e.kept for e in found] == [""] * 100 + ["logs"] * 30
    oldest = found[-1]
    assert (oldest.status, oldest.reason) == ("Failed", "BackoffLimitExceeded")
    assert oldest.duration is not None
    assert oldest.duration.total_seconds() == 5
    assert "kept in" in repr(found)
    assert found.as_json()[-1]["kept"] == "logs"


def test_history_is_asked_for_only_where_it_can_matter(world: World) -> None:
    assert len(world.orc.executions("nightly", history=False)) == 100
    assert len(world.orc.executions("nightly", limit=120)) == 120
    requests = Recorder(world)
    orc = world.orchestrator(transport=requests)
    assert [e.kept for e in orc.executions("nightly", limit=7)] == [""] * 7
    assert orc.executions("talker") is not None
    assert not [path for path in requests.paths if path.endswith("/query")]
    orc.close()


def test_the_log_is_read_page_by_page_to_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = world.orc.executions("nightly")
    monkeypatch.setattr(system_log, "PAGE", 7)
    requests = Recorder(world)
    orc = world.orchestrator(transport=requests)
    assert orc.executions("nightly") == whole
    assert len([path for path in requests.paths if path.endswith("/query")]) > 130 / 7
    orc.close()


def test_lists_are_asked_for_as_the_sdk_asks(world: World) -> None:
    requests = Recorder(world)
    orc = world.orchestrator(transport=requests)
    listed = orc.executions("nightly", history=False)
    clients = Clients(world.profile(), transport=requests)
    found = list(clients.containers.jobs_executions.list(clients.profile.resource_group, "nightly"))
    assert [e.raw for e in listed] == [e.as_dict() for e in found]
    ours, theirs = (
        (r.method, r.url, {k: v for k, v in r.headers.items() if k == "Accept"})
        for r in requests.requests
        if "/executions?" in r.url
    )
    assert ours == theirs
    orc.close()


def test_status_and_time_sift_both_kinds(world: World) -> None:
    failed = world.orc.executions("nightly", status="failed")
    assert [e.kept for e in failed] == [""] * 10 + ["logs"] * 3
    recent = world.orc.executions("nightly", since=failed[-2].start)
    assert len(recent) == 120
    assert world.orc.executions(status="Failed", limit=12) == failed[:12]


def test_an_old_execution_is_shown_but_cannot_be_started_again(world: World) -> None:
    old = world.orc.execution("nightly-0000003")
    assert (old.kept, old.status) == ("logs", "Succeeded")
    assert world.orc.execution("nightly-0000003", "nightly") == old
    with pytest.raises(InvalidRequest, match="not kept any more"):
        world.orc.retry("nightly-0000003")
    with pytest.raises(ExecutionNotFound):
        world.orc.execution("nightly-zzzzzzz")


def test_a_deleted_job_has_its_history_when_that_is_asked_for(world: World) -> None:
    job = world.orc.job("drain")
    event(world, job.id, "gone", "gone-1234567", T0, "Completed")
    with pytest.raises(JobNotFound):
        world.orc.executions("gone")
    world.cloud.until(lambda: "gone-1234567" in names(world.orc.executions(history=True)))
    assert names(world.orc.executions("gone", history=True)) == ["gone-1234567"]
    with pytest.raises(JobNotFound):
        world.orc.executions("never-was", history=True)


def names(executions: Any) -> list[str]:
    return [e.name for e in executions]


def test_when_the_logs_cannot_be_read_the_list_is_given_and_the_lack_is_told(world: World) -> None:
    steering = SteeringClient(world.cloud.connection)
    steering.add_fault("status", status=403, on="logs")
    try:
        found = world.orc.executions("nightly")
    finally:
        steering.clear_faults()
    assert len(found) == 100
    assert "could not be read" in found.partial


def test_every_page_of_a_list_is_read(world: World) -> None:
    transport = Paging(world, size=9)
    orc = world.orchestrator(transport=transport)
    assert names(orc.executions("nightly", history=False)) == [
        f"nightly-{n:07d}" for n in reversed(range(30, 130))
    ]
    assert transport.pages == 12
    orc.close()


def test_a_service_that_is_asked_too_often_is_waited_for(world: World) -> None:
    everything = world.orc.executions(history=False)
    steering = SteeringClient(world.cloud.connection)
    steering.add_fault(
        "status", status=429, retry_after=0.05, count=40,
        on="GET */providers/Microsoft.App/jobs/*/executions",
    )  # fmt: skip
    try:
        assert world.orc.executions(history=False) == everything
        [fault] = steering.faults()
        assert fault["hits"] > 20
    finally:
        steering.clear_faults()


# ------------------------------------------------------------------------------- again, and why


def test_an_execution_is_started_again_as_it_was_though_the_job_has_changed(world: World) -> None:
    first = world.orc.start("talker", env={"WORD": "over", "LINES": "1"}, args=["one", "two"])
    first.wait(30)
    again = first.retry()
    assert again.name != first.name
    again.wait(30)
    texts = [line.text for line in again.follow()]
    assert texts == ["line 0 of over", "args one two"]
    before, after = (run.execution.raw["properties"]["template"] for run in (first, again))
    assert before == after


def test_why_an_execution_failed_is_told_in_a_paragraph(world: World) -> None:
    run = world.orc.start("talker", env={"COMPLAINT": "no such file", "EXIT": "7"})
    run.wait(30)
    world.cloud.until(lambda: not run.explain().missing)
    found = run.explain()
    paragraph = found.paragraph
    assert "\n" not in paragraph
    for part in (f"{run.name} failed", "exit code 7", "no such file", "backoff limit"):
        assert part in paragraph, paragraph
    assert found.events
    assert found.lines
    assert json.loads(json.dumps(found.as_json()))["why"] == paragraph


def test_an_explanation_says_when_the_logs_are_not_there_yet(world: World) -> None:
    steering = SteeringClient(world.cloud.connection)
    steering.add_fault("log-delay", delay=180)
    try:
        run = world.orc.start("talker", env={"EXIT": "7"})
        run.wait(30)
        found = run.explain()
        assert "exit code 7" in found.paragraph
        assert "ingested" in found.missing
        assert "wrote nothing" not in found.paragraph
    finally:
        steering.clear_faults()


# ------------------------------------------------------------------------------- transports


class Recorder(RequestsTransport):
    """The real transport; remembers what was asked."""

    def __init__(self, world: World) -> None:
        super().__init__(connection_verify=world.cloud.connection["ca_bundle"])
        self.paths: list[str] = []
        self.requests: list[Any] = []

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self.paths.append(request.url.partition("?")[0])
        self.requests.append(request)
        return super().send(request, *args, **kwargs)


class Paging(Recorder):
    """The real transport, but lists of executions come in pages with a nextLink."""

    def __init__(self, world: World, size: int) -> None:
        super().__init__(world)
        self._size = size
        self._lock = threading.Lock()
        self.pages = 0

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        url, _, skip = request.url.partition("&$skiptoken=")
        request.url = url
        response = super().send(request, *args, **kwargs)
        if request.method == "GET" and url.partition("?")[0].endswith("/executions"):
            start = int(skip or 0)
            whole = json.loads(response.read())
            page = {"value": whole["value"][start : start + self._size]}
            if start + self._size < len(whole["value"]):
                page["nextLink"] = f"{url}&$skiptoken={start + self._size}"
            body = json.dumps(page).encode()
            response._content = response._internal_response._content = body
            with self._lock:
                self.pages += 1
        return response
