"""Links: credit, transfers in one frame and in many, dispositions, drain, detach."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.localcloud.amqp import performatives as p
from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.amqp.connection import Limits
from orchestrator.localcloud.amqp.decode import decode_whole
from orchestrator.localcloud.amqp.encode import encode
from orchestrator.localcloud.amqp.errors import AmqpError, DecodeError
from orchestrator.localcloud.amqp.events import (
    Attaching,
    Detached,
    Disposed,
    Dropped,
    Received,
    Sendable,
)
from orchestrator.localcloud.amqp.link import DISCARD, OVERDRAFT, IncomingLink
from tests.unit.amqp.client import SOURCE, TARGET, Client, address


def test_attach_is_echoed_with_the_limit_and_credit() -> None:
    client = Client.opened()
    (event,) = client.send(
        1, p.ATTACH, "link", t.UInt(5), False, t.UByte(0), t.UByte(1), SOURCE, TARGET, None, None,
        t.UInt(7),
    )  # fmt: skip
    assert isinstance(event, Attaching)
    assert isinstance(event.link, IncomingLink)
    assert event.link.target.address == "queue"
    event.link.accept(max_message_size=1000, properties={"com.example:x": 1})
    event.link.open_window(50)
    (_, code, attach, _), (_, flow_code, flow, _) = client.received()
    assert (code, flow_code) == (p.ATTACH, p.FLOW)
    assert (attach[0], attach[2], attach[3], attach[4]) == ("link", True, 0, 1)
    assert (attach[5], attach[6], attach[10]) == (SOURCE, TARGET, 1000)
    assert attach[13] == {"com.example:x": 1}
    assert flow[4:7] == [attach[1], 7, 50]


def test_a_refused_link_has_null_termini_and_an_error_with_info() -> None:
    client = Client.opened()
    (event,) = client.send(1, p.ATTACH, "link", t.UInt(0), True, None, None, SOURCE, TARGET)
    assert isinstance(event, Attaching)
    event.link.refuse(AmqpError("amqp:not-found", "no such queue"))
    (_, _, attach, _), (_, code, detach, _) = client.received()
    assert (attach[5], attach[6]) == (None, None)
    assert code == p.DETACH
    assert detach[1] is True
    error = p.read_error(detach[2])
    assert (error.condition, error.description) == ("amqp:not-found", "no such queue")
    assert detach[2].value[2] == {}
    # The peer answers; its handle is free again, nothing more is said.
    assert client.send(1, p.DETACH, t.UInt(0), True) == []
    assert client.received() == []
    client.attach_receiver(handle=0)


def test_an_attach_may_be_answered_later_or_never() -> None:
    client = Client.opened()
    (event,) = client.send(1, p.ATTACH, "late", t.UInt(0), True, None, None, SOURCE, TARGET)
    assert isinstance(event, Attaching)
    assert client.received() == []
    (gone,) = client.send(1, p.DETACH, t.UInt(0), True)
    assert isinstance(gone, Detached)
    assert [code for _, code, _, _ in client.received()] == [p.ATTACH, p.DETACH]
    event.link.accept()
    assert client.received() == []


def test_a_message_in_one_frame_is_received_and_settled() -> None:
    client = Client.opened()
    link = client.attach_sender()
    (event,) = client.transfer(0, b"payload", message_format=0x80013700)
    assert isinstance(event, Received)
    assert (event.delivery.payload, event.delivery.tag) == (b"payload", b"0")
    assert event.delivery.format == 0x80013700
    link.settle(event.delivery)
    link.settle(event.delivery)
    ((_, code, fields, _),) = client.received()
    assert code == p.DISPOSITION
    assert fields[:4] == [True, 0, 0, True]
    assert fields[4] is p.ACCEPT


def test_equal_consecutive_settlements_become_one_frame() -> None:
    client = Client.opened()
    link = client.attach_sender()
    deliveries = []
    for number in range(6):
        (event,) = client.transfer(number, b"x")
        assert isinstance(event, Received)
        deliveries.append(event.delivery)
    refusal = p.reject(AmqpError("amqp:not-allowed", "no"))
    for delivery in deliveries:
        link.settle(delivery, refusal if delivery.id == 3 else p.ACCEPT)
    ranges = [(fields[1], fields[2]) for _, _, fields, _ in client.received()]
    assert ranges == [(0, 2), (3, 3), (4, 5)]


def test_a_message_in_many_frames_is_put_together() -> None:
    client = Client.opened()
    client.attach_sender()
    assert client.transfer(0, b"one ", more=True) == []
    assert client.transfer(None, b"two ", more=True) == []
    (event,) = client.transfer(None, b"three", more=False)
    assert isinstance(event, Received)
    assert event.delivery.payload == b"one two three"


def test_an_aborted_message_leaves_nothing() -> None:
    client = Client.opened()
    link = client.attach_sender()
    client.transfer(0, b"half", more=True)
    assert client.transfer(None, b"", aborted=True) == []
    assert link.partial_size == 0
    (event,) = client.transfer(1, b"next")
    assert isinstance(event, Received)
    assert event.delivery.payload == b"next"


def test_a_message_too_large_is_rejected_and_the_link_lives() -> None:
    client = Client.opened()
    link = client.attach_sender(max_message_size=100)
    assert client.transfer(0, bytes(101)) == []
    assert client.transfer(1, bytes(60), more=True) == []
    assert client.transfer(None, bytes(60), more=True) == []
    assert link.partial_size == 0
    assert client.transfer(None, bytes(1)) == []
    frames = client.received()
    outcomes = [p.Outcome.read(fields[4]) for _, _, fields, _ in frames]
    assert [(o.kind, o.error and o.error.condition) for o in outcomes] == [
        (p.REJECTED, "amqp:link:message-size-exceeded")
    ]
    assert frames[0][2][1:3] == [0, 1]
    (event,) = client.transfer(2, bytes(100))
    assert isinstance(event, Received)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_message_too_large_that_came_settled_costs_the_link_and_its_transaction(
    frames: int,
) -> None:
    client = Client.opened()
    link = client.attach_sender(max_message_size=100)
    state = t.Described(t.ULong(p.TRANSACTIONAL), [b"id"])
    if frames == 2:
        assert client.transfer(0, bytes(90), settled=True, more=True, state=state) == []
        dropped, gone = client.transfer(None, bytes(90))
    else:
        dropped, gone = client.transfer(0, bytes(101), settled=True, state=state)
    assert isinstance(dropped, Dropped)
    assert dropped.transaction == b"id"
    assert isinstance(gone, Detached)
    assert gone.link is link
    assert gone.error is not None
    assert gone.error.condition == dropped.error.condition == "amqp:link:message-size-exceeded"
    assert [code for _, code, _, _ in client.received()] == [p.DETACH]


def test_what_comes_for_a_link_that_is_gone_is_told_to_whom_its_transaction_belongs() -> None:
    client = Client.opened()
    state = t.Described(t.ULong(p.TRANSACTIONAL), [b"id", t.Described(t.ULong(p.ACCEPTED), [])])
    sender, receiver = client.attach_sender(), client.attach_receiver(credit=5)
    receiver.send(b"one", b"tag")
    client.transfer(0, b"half", more=True, settled=True, state=state)
    sender.detach()
    receiver.detach()
    (rest,) = client.transfer(None, b"rest")
    (whole,) = client.transfer(1, b"whole", settled=True, state=state)
    (single,) = client.send(1, p.DISPOSITION, True, t.UInt(0), t.UInt(0), True, state)
    (span,) = client.send(1, p.DISPOSITION, True, t.UInt(0), t.UInt(3), True, state)
    for event in (rest, whole, single, span):
        assert isinstance(event, Dropped)
        assert event.transaction == b"id"


def test_more_than_was_announced_may_be_tolerated() -> None:
    client = Client.opened()
    link = client.attach_sender(max_message_size=100)
    link.tolerate(20)
    (event,) = client.transfer(0, bytes(120))
    assert isinstance(event, Received)
    assert client.transfer(1, bytes(121)) == []
    error = p.Outcome.read(client.received()[-1][2][4]).error
    assert error is not None
    assert "the 100 bytes" in error.description


def test_a_message_without_end_costs_the_link() -> None:
    client = Client.opened(Limits(max_frame_size=8 * 1024 * 1024, incoming_window=1000))
    link = client.attach_sender(max_message_size=100)
    client.transfer(0, b"", more=True)
    chunk = bytes(4 * 1024 * 1024)
    for _ in range(DISCARD // len(chunk)):
        assert client.transfer(None, chunk, more=True) == []
    (gone,) = client.transfer(None, chunk, more=True)
    assert isinstance(gone, Detached)
    assert gone.error is not None
    assert gone.error.condition == "amqp:link:message-size-exceeded"
    assert client.transfer(None, chunk, more=True) == []
    assert link.partial_size == 0


def test_a_link_that_is_lost_with_an_unfinished_message_frees_it_once() -> None:
    client = Client.opened(Limits(partial_bytes=1000))
    for handle in range(3):
        client.attach_sender(handle=handle, name=f"link-{handle}")
        client.transfer(10 * handle, bytes(600), handle=handle, more=True)
        (gone,) = client.transfer(10 * handle + 1, b"", handle=handle)
        assert isinstance(gone, Detached)
    client.attach_sender(handle=9, name="last")
    client.transfer(100, bytes(600), handle=9, more=True)
    client.received()
    client.transfer(None, bytes(600), handle=9, more=True)
    assert client.closing_error() == "amqp:resource-limit-exceeded"


def test_unfinished_messages_are_bounded_over_all_links() -> None:
    client = Client.opened(Limits(partial_bytes=1000))
    for handle in range(3):
        client.attach_sender(handle=handle, name=f"link-{handle}")
        client.transfer(0, bytes(400), handle=handle, more=True)
    assert client.closing_error() == "amqp:resource-limit-exceeded"


def test_credit_is_renewed_as_messages_are_settled() -> None:
    client = Client.opened()
    link = client.attach_sender()
    held = []
    for number in range(100):
        (event,) = client.transfer(number, b"x")
        assert isinstance(event, Received)
        held.append(event.delivery)
    # Nothing settled: no new credit.
    assert [code for _, code, _, _ in client.received()] == []
    assert link.credit == 0
    for delivery in held:
        link.settle(delivery)
    assert link.credit > 50
    assert p.FLOW in [code for _, code, _, _ in client.received()]


def test_a_peer_far_beyond_its_credit_loses_the_link() -> None:
    client = Client.opened(Limits(incoming_window=100_000))
    client.attach_sender()
    for number in range(100 + OVERDRAFT):
        (event,) = client.transfer(number, b"")
        assert isinstance(event, Received)
    (gone,) = client.transfer(100 + OVERDRAFT, b"")
    assert isinstance(gone, Detached)
    assert gone.error is not None
    assert gone.error.condition == "amqp:link:transfer-limit-exceeded"


def test_the_session_window_is_renewed_before_it_ends() -> None:
    client = Client.opened(Limits(incoming_window=10))
    client.attach_sender()
    for number in range(30):
        client.transfer(number, b"", settled=True)
    windows = [fields[:2] for _, code, fields, _ in client.received() if code == p.FLOW]
    assert [5, 10] in windows
    assert len(windows) >= 5


def test_messages_go_out_as_far_as_credit_and_window_reach() -> None:
    client = Client.opened(window=2)
    link = client.attach_receiver()
    assert link.sendable == 0
    (event,) = client.flow(1, 5, window=2)
    assert isinstance(event, Sendable)
    assert link.sendable == 2
    for number in range(3):
        link.send(b"m%d" % number, b"tag%d" % number)
    assert link.sendable == 0
    payloads = [payload for _, code, _, payload in client.received() if code == p.TRANSFER]
    assert payloads == [b"m0", b"m1"]
    (again,) = client.flow(1, 3, seen=2, window=10)
    assert isinstance(again, Sendable)
    assert [payload for _, _, _, payload in client.received()] == [b"m2"]
    assert link.sendable == 2


def test_a_window_opened_for_the_session_wakes_its_links() -> None:
    client = Client.opened(window=1)
    link = client.attach_receiver(credit=None)
    client.flow(1, 5, window=1)
    link.send(b"m", b"t")
    client.received()
    (event,) = client.send(1, p.FLOW, t.UInt(1), t.UInt(9), t.UInt(0), t.UInt(9))
    assert isinstance(event, Sendable)
    assert link.sendable == 4


def test_a_large_message_goes_out_in_frames_of_the_peers_size() -> None:
    client = Client.opened(max_frame_size=512)
    link = client.attach_receiver(credit=1)
    payload = bytes(range(256)) * 10
    link.send(payload, b"t" * 16)
    frames = client.received()
    assert b"".join(part for _, _, _, part in frames) == payload
    assert [fields[5] for _, _, fields, _ in frames] == [True] * (len(frames) - 1) + [False]
    assert len({fields[1] for _, _, fields, _ in frames}) == 1
    assert link.session.next_outgoing_id == len(frames)


def test_dispositions_of_ranges_reach_their_deliveries() -> None:
    client = Client.opened()
    link = client.attach_receiver(credit=10)
    sent = [link.send(b"m", b"%d" % number) for number in range(6)]
    client.received()
    (event,) = client.send(1, p.DISPOSITION, True, t.UInt(1), t.UInt(3), False, p.ACCEPT.encode())
    assert isinstance(event, Disposed)
    assert event.deliveries == sent[1:4]
    assert not event.settled
    for delivery in event.deliveries:
        link.settle(delivery, p.ACCEPT)
    ((_, _, fields, _),) = client.received()
    assert fields[:4] == [False, 1, 3, True]
    # The whole number range names what is left; settled ones are not named twice.
    (event,) = client.send(
        1, p.DISPOSITION, True, t.UInt(0), t.UInt(2**32 - 1), True, p.RELEASE.encode()
    )
    assert isinstance(event, Disposed)
    assert event.deliveries == [sent[0], sent[4], sent[5]]
    assert event.settled
    link.settle(sent[0], p.ACCEPT)
    assert client.received() == []
    assert client.send(1, p.DISPOSITION, True, t.UInt(0), t.UInt(9), True) == []


def test_acceptances_are_understood_however_their_fields_are_written() -> None:
    plain = bytes.fromhex("005315c015065601700000000170000000015600005324455601")
    assert p.decode_fields(plain, 0) == (p.DISPOSITION, [True, 1, 1, False, p.ACCEPT, True], 26)
    null = bytes.fromhex("005315c0140656017000000100700000010156010053244540")
    assert p.decode_fields(null, 0) == (p.DISPOSITION, [True, 256, 257, True, p.ACCEPT, None], 25)
    # Every other byte in every place is what it is without a short cut.
    for frame in (plain, null):
        for place in range(len(frame)):
            for byte in range(256):
                changed = frame[:place] + bytes((byte,)) + frame[place + 1 :]
                assert _fields(changed, 0) == _fields(b"\x00" + changed + bytes(8), 1)


def _fields(frame: bytes, pos: int) -> object:
    """What a disposition says; before bytes too many the fields are read one by one."""
    try:
        code, fields, end = p.decode_fields(frame, pos)
        return (
            code,
            [*map(repr, fields[:4]), getattr(fields[4], "kind", fields[4]), fields[5:]],
            end - pos,
        )
    except DecodeError:
        return None


@pytest.mark.parametrize(
    ("encoded", "kind", "failed", "elsewhere"),
    [
        (encode(t.Described(t.ULong(0x24), [])), p.ACCEPTED, False, False),
        (encode(t.Described(t.Symbol("amqp:released:list"), [])), p.RELEASED, False, False),
        (encode(t.Described(t.ULong(0x27), [True, False])), p.MODIFIED, True, False),
        (encode(t.Described(t.ULong(0x27), [None, True])), p.MODIFIED, False, True),
        (encode(t.Described(t.ULong(0x25), [])), p.REJECTED, False, False),
        (encode(t.Described(t.ULong(0x34), [b"txn"])), 0x34, False, False),
        (
            encode(t.Described(t.ULong(0x34), [b"txn", t.Described(t.ULong(0x27), [True])])),
            p.MODIFIED,
            True,
            False,
        ),
    ],
)
def test_outcomes_are_read(encoded: bytes, kind: int, failed: bool, elsewhere: bool) -> None:
    client = Client.opened()
    link = client.attach_receiver(credit=1)
    link.send(b"m", b"t")
    (event,) = client.send(1, p.DISPOSITION, True, t.UInt(0), None, False, encoded)
    assert isinstance(event, Disposed)
    assert event.outcome is not None
    assert (event.outcome.kind, event.outcome.failed, event.outcome.elsewhere) == (
        kind,
        failed,
        elsewhere,
    )


def test_a_state_in_a_transaction_comes_back_as_it_was() -> None:
    error = AmqpError("amqp:not-allowed", "why")
    for outcome in (
        p.Outcome(p.ACCEPTED, transaction=b"txn"),
        p.Outcome(p.REJECTED, error=error, transaction=b"txn"),
        p.Outcome(p.MODIFIED, failed=True, elsewhere=True, transaction=b"txn"),
    ):
        read = p.Outcome.read(decode_whole(outcome.encode()))
        assert (read.kind, read.transaction) == (outcome.kind, b"txn")
        assert (read.failed, read.elsewhere) == (outcome.failed, outcome.elsewhere)
        assert str(read.error) == str(outcome.error)
    declared = decode_whole(p.Outcome(p.DECLARED, transaction=b"txn").encode())
    assert (declared.descriptor, declared.value) == (p.DECLARED, [b"txn"])


@pytest.mark.parametrize(
    "fields", [[], [None], ["txn"], [b"txn", t.Described(t.ULong(0x34), [b"other"])]]
)
def test_a_transactional_state_without_sense_is_refused(fields: list[Any]) -> None:
    with pytest.raises(AmqpError):
        p.Outcome.read(t.Described(t.ULong(p.TRANSACTIONAL), fields))


def test_a_drained_link_gives_its_credit_back() -> None:
    client = Client.opened()
    link = client.attach_receiver()
    (event,) = client.flow(1, 10, drain=True)
    assert isinstance(event, Sendable)
    link.send(b"m", b"t")
    link.drained()
    *_, (_, code, fields, _) = client.received()
    assert code == p.FLOW
    assert fields[5:7] == [10, 0]
    assert fields[8] is True
    # Without credit there is nothing to wait for: it is answered at once.
    assert client.flow(1, 0, seen=10, drain=True) == []
    assert [code for _, code, _, _ in client.received()] == [p.FLOW]


def test_credit_counts_from_what_the_peer_has_seen() -> None:
    client = Client.opened()
    link = client.attach_receiver(credit=5)
    for _ in range(3):
        link.send(b"m", b"t")
    client.flow(1, 5, seen=1)
    assert link.credit == 3


def test_an_echo_is_answered() -> None:
    client = Client.opened()
    client.send(1, p.FLOW, t.UInt(0), t.UInt(5), t.UInt(0), t.UInt(5), *[None] * 5, True)
    assert [code for _, code, _, _ in client.received()] == [p.FLOW]


def test_a_detach_is_answered_and_deliveries_are_forgotten() -> None:
    client = Client.opened()
    link = client.attach_receiver(credit=5)
    sent = link.send(b"m", b"t")
    client.received()
    (event,) = client.send(1, p.DETACH, t.UInt(1), True)
    assert isinstance(event, Detached)
    assert [code for _, code, _, _ in client.received()] == [p.DETACH]
    assert sent.settled
    assert link.session.outgoing == {}
    link.settle(sent, p.ACCEPT)
    assert client.received() == []


def test_whoever_gives_a_link_up_before_its_answer_hears_of_no_error() -> None:
    client = Client.opened()
    client.send(1, p.ATTACH, "link", t.UInt(0), True, None, None, SOURCE, TARGET)
    (event,) = client.send(1, p.DETACH, t.UInt(0), True)
    assert isinstance(event, Detached)
    (_, first, attach, _), (_, second, detach, _) = client.received()
    assert (first, attach[5], attach[6]) == (p.ATTACH, None, None)
    assert (second, detach[1], detach[2]) == (p.DETACH, True, None)


def test_a_link_attached_again_under_its_name_is_stolen() -> None:
    client = Client.opened()
    first = client.attach_receiver(handle=1, name="same")
    events = client.send(1, p.ATTACH, "same", t.UInt(2), True, None, None, SOURCE, TARGET)
    assert [type(event) for event in events] == [Detached, Attaching]
    assert not first.attached
    ((_, code, fields, _),) = client.received()
    assert code == p.DETACH
    assert p.read_error(fields[2]).condition == "amqp:link:stolen"


def test_a_link_that_is_stolen_before_it_was_answered_is_refused() -> None:
    client = Client.opened()
    for handle in (1, 2):
        client.send(1, p.ATTACH, "same", t.UInt(handle), True, None, None, SOURCE, TARGET)
    (_, first, attach, _), (_, second, detach, _) = client.received()
    assert (first, attach[5], attach[6]) == (p.ATTACH, None, None)
    assert (second, detach[0]) == (p.DETACH, attach[1])
    assert p.read_error(detach[2]).condition == "amqp:link:stolen"


def test_a_handle_used_twice_or_not_at_all_ends_the_session() -> None:
    for code, fields, condition in (
        (p.ATTACH, ["b", t.UInt(0), True], "amqp:session:handle-in-use"),
        (p.DETACH, [t.UInt(9), True], "amqp:session:unattached-handle"),
        (p.TRANSFER, [t.UInt(9), t.UInt(0), b"\xa0\x01t"], "amqp:session:unattached-handle"),
    ):
        client = Client.opened()
        client.attach_sender(handle=0)
        events = client.send(1, code, *fields)
        assert [type(event) for event in events] == [Detached]
        ((_, end, found, _),) = client.received()
        assert end == p.END
        assert p.read_error(found[0]).condition == condition


def test_too_many_transfers_for_the_window_end_the_session() -> None:
    client = Client.opened(Limits(incoming_window=4))
    link = client.attach_sender()
    link.session.incoming_window = 0
    client.transfer(0, b"x")
    *_, (_, code, fields, _) = client.received()
    assert code == p.END
    assert p.read_error(fields[0]).condition == "amqp:session:window-violation"


def test_too_many_links_close_the_connection() -> None:
    client = Client.opened(Limits(links=10))
    for handle in range(11):
        client.send(1, p.ATTACH, f"l{handle}", t.UInt(handle), True, None, None, SOURCE, TARGET)
    assert client.closing_error() == "amqp:resource-limit-exceeded"


def test_a_handle_beyond_the_maximum_closes_the_connection() -> None:
    client = Client.opened(Limits(handle_max=10))
    client.send(1, p.ATTACH, "l", t.UInt(11), True, None, None, SOURCE, TARGET)
    assert client.closing_error() == "amqp:not-allowed"


def test_a_source_can_be_replaced_in_the_answer() -> None:
    client = Client.opened()
    (event,) = client.send(1, p.ATTACH, "l", t.UInt(0), True, None, None, SOURCE, TARGET)
    assert isinstance(event, Attaching)
    event.link.accept(source=encode(t.Described(t.ULong(p.SOURCE), ["other"])))
    ((_, _, fields, _),) = client.received()
    assert (address(fields[5]), fields[6]) == ("other", TARGET)
