"""The library against the local cloud, as a user's program calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from orchestrator import errors
from orchestrator.results import Execution
from tests.cloud.library_world import SETTINGS, World


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("library"))
    made.orc.up()
    yield made
    made.close()


# ------------------------------------------------------------------------------- up and deploy


def test_up_makes_everything_and_says_so_and_then_nothing(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    fresh = World(tmp_path_factory.mktemp("fresh"))
    try:
        steps: list[str] = []
        made = fresh.orc.up(lambda s: steps.append(f"{s.number}/{s.total} {s.title}"))
        assert {c.action for c in made} == {"created"}
        assert {
            ("resource group", "local"),
            ("workspace", "local"),
            ("identity", "jobs"),
            ("namespace", "sb-local"),
            ("queue", "in"),
            ("queue", "out"),
            ("environment", "local"),
        } <= {(c.kind, c.name) for c in made}
        assert [c.name for c in made[-4:]] == ["talker", "pair", "nightly", "drain"]
        total = len(made)
        assert steps[-1] == f"{total}/{total} job drain"
        assert {c.action for c in fresh.orc.up()} == {"unchanged"}
    finally:
        fresh.close()


def test_deploy_says_what_changed_and_the_second_time_nothing(world: World) -> None:
    text = SETTINGS.replace('timeout = "60s"', 'timeout = "90s"').replace(
        'WORD = "talker"', 'WORD = "chatter"\nMORE = "x"'
    )
    changed = world.orchestrator(text)
    try:
        one, other = changed.deploy("talker", "nightly")
        assert (one.name, one.action) == ("talker", "updated")
        assert [str(f) for f in one.fields] == [
            "env.WORD: talker → chatter",
            "env.MORE: (none) → x",
            "timeout: 1m → 1m30s",
        ]
        assert other.action == "unchanged"
        assert changed.deploy("talker")[0].action == "unchanged"
        assert changed.job("talker").env == {"WORD": "chatter", "MORE": "x"}
    finally:
        changed.close()
        world.orc.deploy("talker")


def test_deploy_keeps_the_tags_that_somebody_gave_the_job(world: World) -> None:
    from azure.mgmt.appcontainers.models import JobPatchProperties

    jobs = world.orc._clients.containers.jobs
    jobs.begin_update("local", "pair", JobPatchProperties({"tags": {"team": "blue"}})).result()
    changed = world.orchestrator(SETTINGS.replace('WORD = "pair"', 'WORD = "two"'))
    assert changed.deploy("pair")[0].action == "updated"
    assert changed.job("pair").raw["tags"]["team"] == "blue"
    changed.close()
    world.orc.deploy("pair")


def test_a_secrets_new_value_is_seen_used_and_never_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SETTINGS + (
        '[jobs.keeper]\ntrigger = "manual"\nimage = "talker"\n'
        'secrets = { word = { env = "KEEPERS_WORD" } }\nenv = { WORD = { secret = "word" } }\n'
    )
    orc = world.orchestrator(text)
    monkeypatch.setenv("KEEPERS_WORD", "first-secret")
    assert orc.deploy("keeper")[0].action == "created"
    assert orc.deploy("keeper")[0].action == "unchanged"
    monkeypatch.setenv("KEEPERS_WORD", "second-secret")
    changes = orc.deploy("keeper")
    assert [str(f) for f in changes[0].fields] == ["secrets.word: (hidden) → (hidden)"]
    assert "secret" not in repr(changes).replace("secrets.word", "")
    assert "first-secret" not in json.dumps(orc.job("keeper").as_json())
    lines = orc.start("keeper").follow()
    assert next(lines).text == "line 0 of second-secret"
    lines.close()
    monkeypatch.delenv("KEEPERS_WORD")
    with pytest.raises(errors.SettingsError, match="KEEPERS_WORD is not set"):
        orc.deploy("keeper")
    orc.delete_job("keeper")
    orc.close()


def test_one_job_that_the_service_refuses_does_not_keep_the_others_back(world: World) -> None:
    text = SETTINGS.replace('WORD = "pair"', 'WORD = "other"') + (
        '[jobs.huge]\ntrigger = "manual"\nimage = "talker"\ncpu = 64.0\nmemory = "1Gi"\n'
        'workload_profile = "not-there"\n'
    )
    orc = world.orchestrator(text)
    with pytest.raises(errors.InvalidRequest) as caught:
        orc.deploy("huge", "pair")
    assert "Could not deploy the job huge" in caught.value.message
    assert "Deployed all the same: pair." in caught.value.hint
    assert orc.job("pair").env["WORD"] == "other"
    orc.close()
    world.orc.deploy("pair")


def test_deploy_before_up_says_what_to_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    fresh = World(tmp_path_factory.mktemp("bare"))
    try:
        with pytest.raises(errors.NotFound) as caught:
            fresh.orc.deploy()
        assert "orchestrator" in caught.value.hint
        assert "up" in caught.value.hint
        with pytest.raises(errors.NotFound):
            fresh.orc.jobs()
    finally:
        fresh.close()


def test_a_queue_that_cannot_be_changed_is_told_before_anything_is_lost(world: World) -> None:
    orc = world.orchestrator(SETTINGS.replace('duplicate_detection = "10m"', ""))
    with pytest.raises(errors.Conflict) as caught:
        orc.up()
    assert "duplicate_detection on" in caught.value.message
    assert "out" in [q.name for q in orc.queues()]
    orc.close()


def test_a_queue_that_can_be_changed_is(world: World) -> None:
    orc = world.orchestrator(SETTINGS.replace('lock_duration = "30s"', 'lock_duration = "45s"'))
    change = next(c for c in orc.up() if c.name == "in")
    assert [str(f) for f in change.fields] == ["lock_duration: PT30S → PT45S"]
    assert {c.action for c in orc.up()} == {"unchanged"}
    orc.close()
    world.orc.up()


# ------------------------------------------------------------------------------- start and wait


def test_start_changes_what_it_says_for_one_execution(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "1", "EXTRA": "1"}, args=["--fast", "x y"])
    seen: list[Execution] = []
    ended = run.wait(timeout="30s", on_change=seen.append)
    assert ended.succeeded
    assert ended.exit_code == 0
    assert seen[-1] == ended
    assert run.logs().text().splitlines() == ["line 0 of talker", "args --fast x y"]
    env = ended.raw["properties"]["template"]["containers"][0]["env"]
    assert {"name": "WORD", "value": "talker"} in env
    assert world.orc.job("talker").env == {"WORD": "talker"}
    assert set(ended.as_json()) >= {"id", "name", "type", "properties", "resourceGroup"}


def test_a_plain_start_sends_no_template(world: World) -> None:
    run = world.orc.start("talker")
    assert run.wait(30).succeeded
    assert run.logs()[0].text == "line 0 of talker"


def test_a_failed_execution_is_told_apart_from_one_that_took_too_long(world: World) -> None:
    failed = world.orc.start("talker", env={"EXIT": "7", "LINES": "0"}).wait(30)
    assert (failed.status, failed.exit_code) == ("Failed", 3)
    assert failed.replicas[-1].exit_code == 7
    text = SETTINGS.replace('timeout = "60s"', 'timeout = "1s"')
    brief = world.orchestrator(text)
    brief.deploy("talker")
    late = brief.start("talker", env={"SLEEP": "30"}).wait(60)
    assert late.timed_out
    assert late.exit_code == 5
    brief.close()
    world.orc.deploy("talker")


def test_a_wait_that_is_too_short_raises_and_leaves_the_execution_running(world: World) -> None:
    run = world.orc.start("talker", env={"SLEEP": "60"})
    with pytest.raises(errors.WaitTimeout) as caught:
        run.wait(timeout=0.2)
    assert caught.value.exit_code == 124
    assert caught.value.execution is not None
    assert not caught.value.execution.finished
    assert run.name in caught.value.hint
    stopped = run.stop()
    assert (stopped.status, stopped.exit_code) == ("Stopped", 4)
    assert run.stop() == stopped


def test_stop_all_stops_what_runs_and_gives_it(world: World) -> None:
    runs = [world.orc.start("talker", env={"SLEEP": "60"}) for _ in range(2)]
    stopped = world.orc.stop_all("talker")
    assert {e.name for e in stopped} == {run.name for run in runs}
    assert {e.status for e in stopped} == {"Stopped"}
    assert len(world.orc.stop_all("talker")) == 0


def test_a_suspended_job_starts_nothing_and_says_so(world: World) -> None:
    assert world.orc.suspend("pair").suspended
    with pytest.raises(errors.JobSuspended) as caught:
        world.orc.start("pair")
    assert "orchestrator jobs resume pair" in caught.value.hint
    assert not world.orc.resume("pair").suspended
    assert world.orc.start("pair").wait(30).succeeded


# ------------------------------------------------------------------------------- executions


def test_executions_of_one_job_or_of_all_newest_first(world: World) -> None:
    first = world.orc.start("talker").wait(30)
    second = world.orc.start("pair").wait(30)
    third = world.orc.start("talker", env={"EXIT": "1"}).wait(30)
    everything = world.orc.executions()
    assert [e.name for e in everything[:3]] == [third.name, second.name, first.name]
    assert {e.job for e in everything} == {"talker", "pair"}
    assert [e.name for e in world.orc.executions("talker", limit=2)] == [third.name, first.name]
    assert world.orc.executions("talker", status="failed")[0] == third
    assert all(e.status == "Failed" for e in world.orc.executions(status=["Failed"]))
    assert second.start is not None
    assert [e.name for e in world.orc.executions(since=second.start)] == [third.name, second.name]
    assert len(world.orc.executions(since="1h")) == len(everything)


def test_latest_stands_for_the_newest(world: World) -> None:
    run = world.orc.start("talker")
    run.wait(30)
    assert world.orc.run("talker@latest").name == run.name
    assert world.orc.execution("@latest", "talker").name == run.name
    assert world.orc.execution(run.name).name == run.name
    assert world.orc.run(run.name).job == "talker"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda o: o.job("talkr"), errors.JobNotFound, '"talker"'),
        (lambda o: o.start("talkr"), errors.JobNotFound, '"talker"'),
        (lambda o: o.start("talkr", env={"A": "b"}), errors.JobNotFound, '"talker"'),
        (lambda o: o.delete_job("talkr"), errors.JobNotFound, '"talker"'),
        (lambda o: o.suspend("talkr"), errors.JobNotFound, '"talker"'),
        (lambda o: o.executions("talkr"), errors.JobNotFound, '"talker"'),
        (lambda o: o.stop_all("talkr"), errors.JobNotFound, '"talker"'),
        (lambda o: o.logs("talkr"), errors.JobNotFound, '"talker"'),
        (lambda o: o.deploy("talkr"), errors.JobNotFound, '"talker"'),
        (lambda o: list(o.follow("talkr")), errors.JobNotFound, '"talker"'),
        (lambda o: o.execution("talker-ABCDEFG"), errors.ExecutionNotFound, "newest"),
        (lambda o: o.stop("talker-ABCDEFG"), errors.ExecutionNotFound, "newest"),
        (lambda o: o.execution("e", "talkr"), errors.JobNotFound, '"talker"'),
        (lambda o: o.execution("nightly@latest"), errors.ExecutionNotFound, "start nightly"),
        (lambda o: o.run("@latest"), errors.BadInput, "--job"),
        (lambda o: o.follow(), errors.BadInput, "one of them"),
        (lambda o: o.queue("inn"), errors.QueueNotFound, '"in"'),
        (lambda o: o.executions(limit=-1), errors.BadInput, "1 or more"),
        (lambda o: o.executions(limit=0), errors.BadInput, "1 or more"),
        (lambda o: o.queues["in"].peek(limit=0), errors.BadInput, "1 or more"),
        (lambda o: o.queues["in"].receive(limit=0), errors.BadInput, "1 or more"),
        (lambda o: next(o.queues["in"].consume(0)), errors.BadInput, "1 or more"),
        (lambda o: o.queues["in"].dead_letters.list(limit=0), errors.BadInput, "1 or more"),
        (lambda o: o.queues["in"].dead_letters.resubmit(limit=0), errors.BadInput, "1 or more"),
        (lambda o: o.logs(tail=-1), errors.BadInput, "0 or more"),
        (lambda o: o.logs(grep="("), errors.BadInput, "backslash"),
        (lambda o: o.query("  "), errors.BadInput, "take 10"),
    ],
)
def test_what_is_not_there_is_told_with_the_next_step(
    world: World, call: object, error: type[errors.OrchestratorError], words: str
) -> None:
    world.orc.start("talker").wait(30)
    with pytest.raises(error) as caught:
        call(world.orc)  # type: ignore[operator]
    assert words in caught.value.hint
    assert type(caught.value) is error


def test_a_job_that_is_deleted_is_gone_with_its_executions(world: World) -> None:
    text = SETTINGS + '[jobs.brief]\ntrigger = "manual"\nimage = "talker"\n'
    orc = world.orchestrator(text)
    orc.deploy("brief")
    run = orc.start("brief")
    run.wait(30)
    assert orc.delete_job("brief").action == "deleted"
    assert "brief" not in [j.name for j in orc.jobs()]
    assert run.name not in [e.name for e in orc.executions(history=False)]
    assert orc.execution(run.name).kept == "logs"  # its events are still told
    orc.close()


# ------------------------------------------------------------------------------- logs and queries


def test_logs_are_filtered_by_execution_grep_tail_and_time(world: World) -> None:
    run = world.orc.start("talker", env={"LINES": "5", "COMPLAINT": "it's \\ 'wrong'"})
    run.wait(30)
    lines = run.logs()
    # Each stream is in order; a line of one and a line of the other come through two pipes.
    assert [line.text for line in lines if line.stream == "stdout"] == [
        *(f"line {n} of talker" for n in range(5)),
        "args",
    ]
    assert [line.text for line in lines if line.stream == "stderr"] == ["it's \\ 'wrong'"]
    assert [line.time for line in lines] == sorted(line.time for line in lines)
    assert {(line.job, line.execution) for line in lines} == {("talker", run.name)}
    assert [line.text for line in run.logs(tail=2)] == [line.text for line in lines[-2:]]
    assert len(run.logs(tail=0)) == 0
    assert [line.text for line in run.logs(grep="line [34]")] == [
        "line 3 of talker",
        "line 4 of talker",
    ]
    assert [line.text for line in run.logs(grep=r"\\ 'w")] == ["it's \\ 'wrong'"]
    assert len(world.orc.logs("talker", since="1h", tail=3)) == 3
    assert len(world.orc.logs("talker", since=0)) == 0


def test_a_job_that_never_wrote_has_no_lines(world: World) -> None:
    assert len(world.orc.logs("nightly")) == 0


def test_a_query_has_typed_columns(world: World) -> None:
    world.orc.start("talker").wait(30)
    result = world.orc.query(
        "ContainerAppConsoleLogs_CL | where ContainerJobName_s == 'talker' "
        "| summarize lines = count(), latest = max(TimeGenerated) by ContainerJobName_s "
        "| extend span = 90s, part = 0.5, yes = true, all = pack_array(1, 'a')"
    )
    row = result.as_json()[0]
    assert row["ContainerJobName_s"] == "talker"
    assert row["lines"] > 0
    assert (row["span"], row["part"], row["yes"], row["all"]) == (90.0, 0.5, True, [1, "a"])
    assert str(result.to_pandas()["latest"].dtype) == "datetime64[us, UTC]"
    assert len(world.orc.query("ContainerAppConsoleLogs_CL | take 1", since="1h")) == 1


def test_a_wrong_query_is_told_with_its_place(world: World) -> None:
    world.orc.start("talker").wait(30)
    with pytest.raises(errors.QueryError) as caught:
        world.orc.query("ContainerAppConsoleLogs_CL\n| wher x == 1")
    assert caught.value.line == 2
    assert caught.value.exit_code == 2
    assert "| wher x == 1" in caught.value.hint


def test_a_table_that_is_not_there_is_told(world: World) -> None:
    with pytest.raises(errors.TableNotFound) as caught:
        world.orc.query("ContainerAppConsoleLog_CL | take 1")
    assert "ContainerAppConsoleLogs_CL" in caught.value.hint


# ------------------------------------------------------------------------------- at a glance


def test_status_tells_jobs_last_executions_and_queues(world: World) -> None:
    run = world.orc.start("talker")
    run.wait(30)
    status = world.orc.status()
    by_name = {s.job.name: s for s in status.jobs}
    assert by_name["talker"].latest is not None
    assert by_name["talker"].latest.name == run.name
    assert by_name["nightly"].latest is None
    assert [q.name for q in status.queues] == ["in", "out"]
    assert status.endpoints["resource manager"].startswith("https://127.0.0.1:")
    assert run.name in repr(status)
    json.dumps(status.as_json())


def test_jobs_show_what_starts_them(world: World) -> None:
    when = {j.name: j.when for j in world.orc.jobs()}
    assert when == {
        "talker": "by hand",
        "pair": "by hand",
        "nightly": "0 3 1 1 *",
        "drain": "queue out, 5 a time",
    }


def test_an_orchestrator_works_again_after_close(world: World) -> None:
    orc = world.orchestrator()
    assert len(orc.jobs()) == 4
    orc.close()
    second = type(orc)(orc.settings, orc.profile)
    assert len(second.jobs()) == 4
    second.close()
    assert len(second.jobs()) == 4
    second.close()


def test_the_queues_messages_are_reached_through_the_same_profile(world: World) -> None:
    from azure.servicebus import ServiceBusMessage

    with world.orc._clients.bus() as bus, bus.get_queue_sender("in") as sender:
        sender.send_messages([ServiceBusMessage(str(n)) for n in range(3)])
    assert world.orc.queue("in").active == 3
    with (
        world.orc._clients.bus() as bus,
        bus.get_queue_receiver("in", max_wait_time=5) as receiver,
    ):
        received = receiver.receive_messages(3, max_wait_time=5)
        assert [str(m) for m in received] == ["0", "1", "2"]
        for message in received:
            receiver.complete_message(message)
    assert world.orc.queue("IN").active == 0


def test_a_cloud_that_was_started_anew_is_reached_by_the_old_orchestrator(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    world = World(tmp_path_factory.mktemp("anew"))
    try:
        world.orc.up()
        world.cloud.stop()
        with pytest.raises(errors.NotReachable):
            world.orchestrator().jobs()
        world.cloud.start()
        # No token is kept: the endpoint is asked, and its secret is a new one.
        world.orc._clients.credential._tokens.clear()  # type: ignore[attr-defined]
        client = world.orc._clients.containers
        client._config.authentication_policy._token = None
        assert len(world.orc.jobs()) == 4
    finally:
        world.close()
