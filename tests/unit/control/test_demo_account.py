"""The demo's account: what waits on a queue is not lost."""

from __future__ import annotations

from orchestrator.cli.demo.account import Account


def test_what_is_missing_waits_or_is_lost() -> None:
    account = Account("sender-1")
    account.add(("sender-1-a", "Sent message", f"sender-1-{n}") for n in range(1, 6))
    account.add([("receiver-1-a", "Received result", "sender-1-1-result")])
    account.add([("processor-1-a", "Dead-lettered message", "sender-1-2")])
    assert account.missing == account.lost == {"sender-1-3", "sender-1-4", "sender-1-5"}
    account.add_queued(["sender-1-3", "sender-1-4-result", "sender-0-9"])
    assert account.waiting == {"sender-1-3", "sender-1-4"}
    assert account.lost == {"sender-1-5"}
    account.add([("receiver-1-a", "Received result", "sender-1-3-result")])
    assert account.waiting == {"sender-1-4"}
