"""`orchestrator queues …` against a real local cloud."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import pytest

import orchestrator
from orchestrator.display.progress import Progress
from tests.cli.asking import ok
from tests.cli.conftest import COMMAND, Cli
from tests.cli.test_import_time import HEAVY, modules_after
from tests.cloud.servicebus_pace import brisk_sdk

_numbers = count()


@pytest.fixture(autouse=True)
def pace() -> Iterator[None]:
    with brisk_sdk():
        yield


@pytest.fixture
def queue(cli: Cli) -> str:
    """A new queue's name."""
    name = f"line-{next(_numbers)}"
    ok(cli("queues", "create", name, "--lock-duration", "5s"))
    return name


def dead_letter(cli: Cli, queue: str, *reasons: str) -> None:
    """Dead-letter the next messages, each for a reason."""
    settings = cli.folder / "orchestrator.toml"
    with (
        orchestrator.connect(settings=settings) as orc,
        orc._clients.bus() as bus,
        bus.get_queue_receiver(queue) as receiver,
    ):
        left = list(reasons)
        while left:
            for message in receiver.receive_messages(len(left), max_wait_time=5):
                receiver.dead_letter_message(message, left.pop(0), "as the test says")


def depths(cli: Cli, queue: str) -> list[int]:
    """Active, dead-lettered, scheduled."""
    select = "[active, dead_letter, scheduled]"
    shown: list[int] = json.loads(ok(cli("queues", "show", queue, "--query", select, "-o", "json")))
    return shown


# ------------------------------------------------------------------------------- queues


@pytest.mark.parametrize(
    ("given", "status", "said"),
    [
        (["create", "a b"], 2, "No queue can be named"),
        (["create", ""], 2, "No queue can be named"),
        (["create", "/x"], 2, "No queue can be named"),
        (["create", "large", "--max-size", "50GiB"], 1, "maxSizeInMegabytes"),
        (["send", "work", "1", "--at", "yesterday"], 2, "to send at"),
        (["send", "work", "1", "--id", "i" * 129], 2, "128"),
        (["sessions", "work"], 1, "failed. work is not"),
    ],
)
def test_what_is_refused_has_a_next_step(
    cli: Cli, given: list[str], status: int, said: str
) -> None:
    refused = cli("queues", *given)
    assert refused.status == status
    assert said in refused.err
    assert "Next: " in refused.err


def test_queues_are_listed_and_shown_in_every_format(cli: Cli) -> None:
    assert ok(cli("queues", "list")).splitlines()[0].split()[:3] == [
        "queue",
        "active",
        "dead-lettered",
    ]
    assert "work" in ok(cli("queues", "list", "--query", "[].name", "-o", "tsv")).split()
    rows = list(csv.DictReader(io.StringIO(ok(cli("queues", "list", "-o", "csv")))))
    assert {"name", "active", "dead_letter", "scheduled"} <= set(rows[0])
    shown = json.loads(ok(cli("queues", "show", "WORK", "-o", "json")))
    assert (shown["name"], shown["properties"]["lockDuration"]) == ("work", "PT5M")
    assert "lock duration" in ok(cli("queues", "show", "work"))


def test_a_queue_is_created_as_told_found_the_same_and_deleted(cli: Cli) -> None:
    made = ("queues", "create", "brief", "--lock-duration", "10s", "--duplicate-detection", "1h")
    assert "created" in ok(cli(*made, "--sessions", "--max-delivery-count", "3"))
    shown = json.loads(ok(cli("queues", "show", "brief", "-o", "json")))["properties"]
    assert (shown["lockDuration"], shown["maxDeliveryCount"]) == ("PT10S", 3)
    assert (shown["requiresSession"], shown["requiresDuplicateDetection"]) == (True, True)
    assert "unchanged" in ok(cli(*made, "--sessions", "--max-delivery-count", "3"))
    other = cli(*made, "--sessions", "--max-delivery-count", "4")
    assert other.status == 1
    assert "differs: max_delivery_count: 3 → 4" in other.err
    assert "[queues.brief]" in other.err
    asked = cli("queues", "delete", "brief")
    assert asked.status == 2
    assert "--yes" in asked.err
    assert cli("queues", "delete", "brief", "nowhere", "--yes").status == 1
    assert "brief" in ok(cli("queues", "list"))  # all are there, or none is deleted
    assert "deleted" in ok(cli("queues", "delete", "brief", "--yes"))
    assert cli("queues", "show", "brief").status == 1


def test_a_queue_of_the_settings_is_created_as_they_say(cli: Cli) -> None:
    assert "unchanged" in ok(cli("queues", "create", "work"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "x", "--lock-duration", "6m"), "5s to 5m"),
        (("create", "x", "--duplicate-detection", "1s"), "20s to 7d"),
        (("create", "x", "--max-size", "1MiB"), "1GiB to 80GiB"),
        (("peek", "work", "--grep", "a("), "no regular expression"),
        (("peek", "work", "--limit", "0"), "--limit"),
        (("send", "work"), "There is no body"),
        (("send", "work", "x", "--property", "novalue"), "no '='"),
        (("send", "work", "x", "--at", "soon"), "time to send at is wrong"),
        (("send", "work", "x", "-f", "orchestrator.toml"), "not both"),
        (("send", "work", "a", "--id", "x" * 129), "cannot be"),
        (("dead-letters", "list", "work", "--since", "ever"), "ever"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(
    cli: Cli, arguments: tuple[str, ...], said: str
) -> None:
    result = cli("queues", *arguments)
    assert result.status == 2
    assert said in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "wrok"),
        ("peek", "wrok"),
        ("send", "wrok", "x"),
        ("receive", "wrok"),
        ("purge", "wrok", "--yes"),
        ("dead-letters", "list", "wrok"),
        ("dead-letters", "resubmit", "wrok"),
        ("dead-letters", "purge", "wrok", "--yes"),
    ],
    ids=" ".join,
)
def test_a_queue_that_is_not_there_is_told_with_the_name_that_was_meant(
    cli: Cli, arguments: tuple[str, ...]
) -> None:
    result = cli("queues", *arguments)
    assert (result.status, result.out) == (1, "")
    assert 'There is no queue "wrok"' in result.err
    assert 'Did you mean "work"?' in result.err


def test_without_a_local_cloud_the_next_step_is_told(bare: Cli) -> None:
    for arguments in (("list",), ("peek", "work"), ("dead-letters", "resubmit", "work")):
        result = bare("queues", *arguments)
        assert result.status == 1
        assert "Next: " in result.err
        assert "orchestrator local up" in result.err


# ------------------------------------------------------------------------------- messages


def test_a_message_is_sent_looked_at_and_received(cli: Cli, queue: str) -> None:
    sent = cli(
        *("queues", "send", queue, '{"n": 7}', "--id", "by-hand", "--property", "shop=12"),
        *("--content-type", "application/json", "--subject", "s", "--correlation-id", "c"),
        *("--time-to-live", "1h"),
    )
    assert "by-hand" in ok(sent)
    table = ok(cli("queues", "peek", queue)).splitlines()
    assert table[0].split() == [
        "number",
        "message",
        "enqueued",
        "session",
        "state",
        *["properties", "body"],
    ]
    assert "shop=12" in table[1]
    assert table[1].endswith('{"n": 7}')
    (message,) = json.loads(ok(cli("queues", "peek", queue, "-o", "json")))
    assert (message["id"], message["subject"], message["correlation_id"]) == ("by-hand", "s", "c")
    assert (message["body"], message["properties"]) == ('{"n": 7}', {"shop": "12"})
    assert message["time_to_live"] == 3600
    full = ok(cli("queues", "peek", queue, "--full"))
    assert "property shop" in full
    assert "application/json" in full
    assert depths(cli, queue) == [1, 0, 0]  # looking took nothing
    received = ok(cli("queues", "receive", queue))
    assert "by-hand" in received
    assert '{"n": 7}' in received
    nothing = cli("queues", "receive", queue, "--wait", "0.2s")
    assert (nothing.status, nothing.out) == (0, "")
    assert "No message came within 0.2s" in nothing.err


def test_a_line_ends_at_a_line_feed_and_nowhere_else(cli: Cli, queue: str) -> None:
    """JSON lines may have U+2028, U+0085 and the like unescaped in their texts."""
    bodies = ['{"text": "one\u2028two"}', "form\x0cfeed", "next\x85line"]
    ok(cli("queues", "send", queue, "-", "--lines", stdin="\r\n".join(bodies) + "\n"))
    peeked = json.loads(ok(cli("queues", "peek", queue, "-o", "json")))
    assert [message["body"] for message in peeked] == bodies


def test_lines_of_standard_input_are_messages_and_come_out_as_lines(cli: Cli, queue: str) -> None:
    ok(cli("queues", "send", queue, "-", "--lines", stdin="one\ntwo\n\nthree\n"))
    few = cli("queues", "peek", queue, "-n", "2", "-o", "jsonl")
    assert [json.loads(line)["body"] for line in ok(few).splitlines()] == ["one", "two"]
    assert "There are more" in few.err
    assert ok(cli("queues", "peek", queue, "--grep", "^t", "--query", "[].body", "-o", "tsv")) == (
        "two\nthree\n"
    )
    lines = ok(cli("queues", "receive", queue, "-n", "2")).splitlines()
    assert [line.split("  ")[1] for line in lines] == ["one", "two"]
    rest = ok(cli("queues", "receive", queue, "-n", "5", "--wait", "0.2s", "-o", "jsonl"))
    assert [json.loads(line)["body"] for line in rest.splitlines()] == ["three"]


def test_a_file_is_one_message_and_may_be_sent_for_later(cli: Cli, queue: str) -> None:
    (cli.folder / "picture.bin").write_bytes(b"\x89PNG\x00\xff")
    ok(cli("queues", "send", queue, "-f", "picture.bin", "--at", "10m"))
    (message,) = json.loads(ok(cli("queues", "peek", queue, "-o", "json")))
    assert (message["state"], message["body_encoding"]) == ("scheduled", "base64")
    assert depths(cli, queue) == [0, 0, 1]


def test_a_purge_asks_counts_and_deletes(cli: Cli, queue: str) -> None:
    ok(cli("queues", "send", queue, "-", "--lines", stdin="1\n2\n3\n"))
    assert ok(cli("queues", "purge", queue, "--dry-run")) == (
        f"3 messages of {queue} would be purged.\n"
    )
    asked = cli("queues", "purge", queue)
    assert asked.status == 2
    assert depths(cli, queue) == [3, 0, 0]
    outcome = json.loads(ok(cli("queues", "purge", queue, "--yes", "-o", "json")))
    assert (outcome["action"], outcome["done"], outcome["left"]) == ("purged", 3, 0)
    assert depths(cli, queue) == [0, 0, 0]
    assert json.loads(ok(cli("queues", "purge", queue, "-o", "json")))["done"] == 0  # nobody asks


# ------------------------------------------------------------------------------- dead letters


def test_dead_letters_are_listed_resubmitted_and_purged(cli: Cli, queue: str) -> None:
    ok(cli("queues", "send", queue, "-", "--lines", stdin="a\nb\nc\nd\n"))
    dead_letter(cli, queue, "Bad", "Worse", "Bad", "Worst")
    letters = ("queues", "dead-letters")
    table = ok(cli(*letters, "list", queue)).splitlines()
    assert table[0].split()[3:5] == ["reason", "description"]
    assert ok(
        cli(*letters, "list", queue, "--reason", "bad", "--query", "[].body", "-o", "tsv")
    ) == ("a\nc\n")
    absent = cli(*letters, "list", queue, "--reason", "Nope")
    assert absent.status == 0
    assert "The reasons there are: Bad (2), Worse (1), Worst (1)." in absent.err

    dry = cli(*letters, "resubmit", queue, "--reason", "Bad", "--dry-run", "-o", "jsonl")
    assert [json.loads(line)["body"] for line in ok(dry).splitlines()] == ["a", "c"]
    assert f"2 dead letters of {queue} would be resubmitted." in dry.err
    assert depths(cli, queue) == [0, 4, 0]

    done = json.loads(ok(cli(*letters, "resubmit", queue, "--reason", "Bad", "-o", "json")))
    assert (done["matched"], done["done"], done["left"]) == (2, 2, 0)
    assert depths(cli, queue) == [2, 2, 0]

    asked = cli(*letters, "purge", queue, "--grep", "^b$")
    assert asked.status == 2
    ok(cli(*letters, "purge", queue, "--grep", "^b$", "--yes"))
    assert depths(cli, queue) == [2, 1, 0]
    ok(cli(*letters, "purge", queue, "--yes"))
    assert depths(cli, queue) == [2, 0, 0]
    none = cli(*letters, "resubmit", queue)
    assert none.status == 0
    assert f"{queue} has no dead letters: nothing to do" in none.err


def test_what_could_not_be_forwarded_is_listed_and_purged(cli: Cli, queue: str) -> None:
    from azure.mgmt.servicebus.models import SBQueue

    with orchestrator.connect(settings=cli.folder / "orchestrator.toml") as orc:
        clients = orc._clients
        clients.service_bus.queues.create_or_update(
            clients.profile.resource_group,
            str(clients.names.namespace),
            queue,
            SBQueue({"properties": {"forwardTo": "work", "lockDuration": "PT5S"}}),
        )
        orc.queues.delete("work")
    ok(cli("queues", "send", queue, "lost"))
    letters = ("queues", "dead-letters")
    end = time.monotonic() + 30
    while "lost" not in ok(cli(*letters, "list", queue, "--transfer")):
        assert time.monotonic() < end
    assert "lost" not in ok(cli(*letters, "list", queue))
    assert "not forwarded" in ok(cli("queues", "show", queue))
    row = f"[?name == '{queue}'].transfer_dead_letter"
    assert ok(cli("queues", "list", "--query", row, "-o", "tsv")) == "1\n"
    ok(cli("queues", "create", "work", "--lock-duration", "5m"))
    dry = cli(*letters, "resubmit", queue, "--transfer", "--dry-run")
    assert f"1 transfer dead letter of {queue} would be resubmitted." in dry.err
    ok(cli(*letters, "purge", queue, "--transfer", "--yes"))
    none = cli(*letters, "resubmit", queue, "--transfer")
    assert f"{queue} has no transfer dead letters: nothing to do" in none.err


def test_a_long_look_tells_how_far_it_is_and_is_not_called_resubmitting(
    cli: Cli, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    show = Progress._show

    def shown(self: Progress, text: str) -> None:
        told.append(text)
        show(self, text)

    monkeypatch.setattr(Progress, "_show", shown)
    lines = "".join(f"n-{i}\n" for i in range(220))
    ok(cli("queues", "send", queue, "-", "--lines", stdin=lines))
    dead_letter(cli, queue, *["Bad"] * 220)
    letters = ("queues", "dead-letters")
    looking = f"looking through the dead letters of {queue}"
    looked = [looking, f"{looking}  100", f"{looking}  200"]
    for command in (
        (*letters, "list", queue, "--grep", "n-219"),  # what does not match counts, too
        (*letters, "resubmit", queue, "--dry-run"),
        (*letters, "purge", queue, "--dry-run"),
    ):
        told.clear()
        ok(cli(*command))
        assert told == looked, command
    told.clear()
    ok(cli(*letters, "resubmit", queue))
    again = f"resubmitting dead letters of {queue}"
    assert told[:4] == [*looked, again]
    assert told[-1] == f"{again}  220/220"


def test_what_is_left_is_told_and_is_no_success(
    cli: Cli, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.queues.dead_letters.WAIT", 0.3)
    ok(cli("queues", "send", queue, "a"))
    dead_letter(cli, queue, "Bad")
    with (
        orchestrator.connect(settings=cli.folder / "orchestrator.toml") as orc,
        orc._clients.bus() as bus,
        bus.get_queue_receiver(queue, sub_queue="deadletter") as other,
    ):
        (held,) = other.receive_messages(1, max_wait_time=5)
        result = cli("queues", "dead-letters", "resubmit", queue)
        other.abandon_message(held)
    assert result.status == 1
    assert "1 dead letter of" in result.err
    assert "Next: Run it again" in result.err
    assert depths(cli, queue) == [0, 1, 0]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_receiving_interrupted_while_waiting_ends_as_ctrl_c_does(cli: Cli, queue: str) -> None:
    running = cli.start("queues", "receive", queue, "--wait", "1m")
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Traceback" not in err


def test_a_sending_that_is_interrupted_tells_how_far_it_was(
    cli: Cli, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(sender: Any, messages: Sequence[Any], sent: Callable[[int], None]) -> None:
        sender.send_messages(messages[0])
        sent(1)
        raise KeyboardInterrupt

    monkeypatch.setattr("orchestrator.queues.bus.send_all", interrupted)
    result = cli("queues", "send", queue, "-", "--lines", stdin="a\nb\nc\n")
    assert result.status == 130
    assert "Stopped: 1 of 3 messages are sent for certain" in result.err
    assert "Next: Send the rest alone" in result.err
    assert depths(cli, queue) == [1, 0, 0]


@pytest.mark.parametrize("dead", [False, True], ids=["messages", "dead letters"])
def test_a_purge_that_is_interrupted_tells_how_far_it_was(
    cli: Cli, queue: str, monkeypatch: pytest.MonkeyPatch, dead: bool
) -> None:
    def interrupted(*arguments: Any) -> int:
        arguments[-1](2, 3)
        raise KeyboardInterrupt

    ok(cli("queues", "send", queue, "-", "--lines", stdin="a\nb\nc\n"))
    if dead:
        dead_letter(cli, queue, "Bad", "Bad", "Bad")
        monkeypatch.setattr("orchestrator.queues.dead_letters.drained", interrupted)
        result = cli("queues", "dead-letters", "purge", queue, "--yes")
    else:
        monkeypatch.setattr("orchestrator.queues.handle.drained", interrupted)
        result = cli("queues", "purge", queue, "--yes")
    assert result.status == 130
    assert f"Stopped after 2 {'dead letters' if dead else 'messages'} or a few more" in result.err
    assert "Next: Run it again to finish." in result.err


# ------------------------------------------------------------------------------- the shell


def test_queue_names_complete(cli: Cli, queue: str) -> None:
    environment = {
        **os.environ,
        "_ORCHESTRATOR_COMPLETE": "bash_complete",
        "COMP_WORDS": "orchestrator queues peek ",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        COMMAND,
        cwd=cli.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    names = [line.split(",")[1] for line in done.stdout.splitlines()]
    assert names[0] == "work"
    assert queue in names
    assert done.stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("queues", "--help"),
        ("queues", "send", "--help"),
        ("queues", "create", "--help"),
        ("queues", "dead-letters", "resubmit", "--help"),
    ],
    ids=" ".join,
)
def test_help_imports_no_sdk_and_no_display(arguments: tuple[str, ...]) -> None:
    assert set(HEAVY) & modules_after(*arguments) == set()
