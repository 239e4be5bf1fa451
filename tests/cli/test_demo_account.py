"""The demo's account: every message by its id, nothing assumed."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest

from orchestrator.cli.demo.account import Account, kql
from orchestrator.cli.demo.summary import Summary, write_summary
from orchestrator.queues.records import Queues
from orchestrator.results import Executions

RUN = "sender-abc1234"
REPLICA = f"{RUN}-x1y2z"


def rows(*lines: tuple[str, str]) -> list[tuple[str, str, str]]:
    """(replica, what, id) as the query gives it, from (replica, line): by the query's own regex."""
    pattern = re.search(r"extract\(@'(.+?)', 1, Log_s\)", kql(datetime(2026, 1, 1, tzinfo=UTC)))
    assert pattern is not None
    found = []
    for replica, line in lines:
        match = re.search(pattern[1], line)
        if match:
            found.append((replica, match[1], match[2]))
    return found


@pytest.fixture
def account() -> Account:
    made = Account(RUN)
    made.add(
        rows(
            (REPLICA, "Sending 3 integers from 1 to 10 to the parameters queue"),
            (REPLICA, f"[1] Sent message {REPLICA}-1: 7"),
            (REPLICA, f"[2] Sent message {REPLICA}-2: 3"),
            (REPLICA, f"[3] Sent message {REPLICA}-3: 5"),
            ("sender-other-x1", "[1] Sent message sender-other-1: 7"),
            ("processor-p-x1", f"[1] Processed message {REPLICA}-1: fibonacci(7) = 8"),
            ("processor-p-x1", f"Dead-lettered message {REPLICA}-2: NotAPositiveInteger, why"),
            ("processor-p-x1", "[2] Processed message sender-other-1: fibonacci(7) = 8"),
            ("receiver-r-x1", f"[1] Received result {REPLICA}-1-result: 8"),
        )
    )
    return made


def test_each_message_is_counted_by_what_was_logged_of_it(account: Account) -> None:
    assert account.sent == {f"{REPLICA}-1", f"{REPLICA}-2", f"{REPLICA}-3"}
    assert account.processed == {f"{REPLICA}-1"}
    assert account.dead_lettered == {f"{REPLICA}-2"}
    assert account.received == {f"{REPLICA}-1"}


def test_what_nobody_received_is_missing(account: Account) -> None:
    assert account.missing == {f"{REPLICA}-3"}
    account.add(rows(("processor-p-x1", f"[3] Processed message {REPLICA}-3: fibonacci(5) = 3")))
    assert account.missing == {f"{REPLICA}-3"}
    account.add(rows(("receiver-r-x2", f"[1] Received result {REPLICA}-3-result: 3")))
    assert account.missing == set()


def test_a_line_that_comes_twice_counts_once(account: Account) -> None:
    for _ in range(2):
        account.add(rows(("receiver-r-x2", f"[1] Received result {REPLICA}-3-result: 3")))
    assert len(account.received) == 2


def test_messages_of_another_run_do_not_count(account: Account) -> None:
    account.add(rows(("receiver-r-x1", "[2] Received result sender-other-1-result: 8")))
    assert account.received == {f"{REPLICA}-1"}


def test_the_summary_tells_the_counts(account: Account) -> None:
    out = io.StringIO()
    stages = [("local cloud started", 0.5), ("messages sent", 61.0)]
    write_summary(Summary(account, Executions(), [], Queues(), stages, ["a note"]), out)
    counts = dict(re.findall(r"^  ([a-z-]+) +(\d+)$", out.getvalue(), re.MULTILINE))
    assert counts == {
        "sent": "3",
        "processed": "1",
        "received": "1",
        "dead-lettered": "1",
        "lost": "1",
    }
    assert "a note" in out.getvalue()
    assert "1m 02s" in out.getvalue()
