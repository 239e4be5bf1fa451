"""Splitting into batches, ids and reading bodies, with the SDK's own messages and batches."""

from collections.abc import Iterable

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageBatch
from azure.servicebus.exceptions import MessageSizeExceededError, ServiceBusAuthorizationError

import processor
import receiver
import servicebus

LARGEST = 262_144


async def split(items: Iterable[str], size: int) -> list[list[str]]:
    async def new_batch() -> ServiceBusMessageBatch:
        return ServiceBusMessageBatch(max_size_in_bytes=size)

    def message_of(item: str) -> ServiceBusMessage:
        return ServiceBusMessage(item, message_id=item[:50])

    pieces = []
    async for batch, inside in servicebus.packed(items, message_of, new_batch):
        assert len(batch) == len(inside) <= servicebus.MAX_BATCH_COUNT
        assert batch.size_in_bytes <= size
        pieces.append(inside)
    return pieces


async def test_what_fits_in_one_batch_goes_in_one() -> None:
    assert await split(["1", "2", "3"], LARGEST) == [["1", "2", "3"]]


async def test_nothing_makes_no_batch() -> None:
    assert await split([], LARGEST) == []


async def test_what_does_not_fit_spills_over_many_batches_and_none_is_lost() -> None:
    items = [f"run-{n}" for n in range(10_000)]
    pieces = await split(items, 16_384)
    assert len(pieces) > 20
    assert [item for piece in pieces for item in piece] == items


async def test_a_batch_never_holds_more_messages_than_the_service_takes() -> None:
    pieces = await split([str(n) for n in range(9_001)], 100 * 1024 * 1024)
    assert [len(piece) for piece in pieces] == [4500, 4500, 1]


async def test_large_messages_spill_over_where_the_size_says() -> None:
    items = [str(n) * 400 for n in range(10)]
    pieces = await split(items, 1000)
    assert [len(piece) for piece in pieces] == [2] * 5
    assert [item for piece in pieces for item in piece] == items


async def test_a_message_too_large_for_any_batch_is_said_and_not_dropped() -> None:
    pieces = []

    async def take_all() -> None:
        async for _, inside in servicebus.packed(
            ["1", "2" * 2000, "3"], ServiceBusMessage, batch_of_1000
        ):
            pieces.append(inside)

    with pytest.raises(MessageSizeExceededError):
        await take_all()
    assert pieces == [["1"]]


async def batch_of_1000() -> ServiceBusMessageBatch:
    return ServiceBusMessageBatch(max_size_in_bytes=1000)


def test_a_results_id_derives_from_its_inputs() -> None:
    assert servicebus.derived_id("sender-abc-17", "result") == "sender-abc-17-result"


def test_a_derived_id_is_never_longer_than_the_service_allows() -> None:
    longest = "x" * 128
    derived = servicebus.derived_id(longest, "result")
    assert len(derived) <= 128
    assert derived == servicebus.derived_id(longest, "result")
    assert derived != servicebus.derived_id("y" * 128, "result")
    ServiceBusMessage("1", message_id=derived)


@pytest.mark.parametrize(
    ("body", "n"), [("1", 1), ("7", 7), (" 42\n", 42), ("+3", 3), ("007", 7), ("100000", 100_000)]
)
def test_a_positive_integer_is_read(body: str, n: int) -> None:
    assert processor.read(body, LARGEST) == n


@pytest.mark.parametrize(
    "body", ["", " ", "0", "000", "-1", "1.0", "1e3", "abc", "0x10", "1_000", "٣", "7 8", "null"]
)
def test_anything_else_is_poison_with_a_reason(body: str) -> None:
    poison = processor.read(body, LARGEST)
    assert isinstance(poison, processor.Poison)
    assert poison.reason == "NotAPositiveInteger"
    assert repr(body) in poison.description


@pytest.mark.parametrize("body", ["1300000", "9" * 18, "9" * 19, "9" * 5000, "9" * 100_000])
def test_a_result_too_large_for_a_message_is_poison_before_it_is_computed(body: str) -> None:
    poison = processor.read(body, LARGEST)
    assert isinstance(poison, processor.Poison)
    assert poison.reason == "ResultTooLarge"
    assert str(LARGEST) in poison.description
    assert len(poison.description) < 300


def test_the_largest_result_that_fits_is_not_refused() -> None:
    assert processor.read("1254000", LARGEST) == 1_254_000


def test_a_result_carries_the_ids_that_join_it_to_its_input() -> None:
    task = processor.Task(message=None, id="sender-abc-17", n=7)  # type: ignore[arg-type]
    message = processor.message_of(processor.Answer(task, "8"))
    assert (message.message_id, message.correlation_id) == ("sender-abc-17-result", "sender-abc-17")
    assert str(message) == "8"


def test_a_long_text_is_abbreviated_to_its_ends_and_length() -> None:
    assert servicebus.abbreviated("12345", 5) == "12345"
    long = servicebus.abbreviated("1" * 50 + "2" * 50, 80)
    assert long == "1" * 20 + "…" + "2" * 20 + " (100 characters)"


def test_a_number_of_thirty_thousand_digits_is_logged_in_full() -> None:
    assert servicebus.abbreviated("3" * 30_000) == "3" * 30_000


@pytest.mark.parametrize(("body", "number"), [(b"8", "8"), (b" -12 ", "-12"), (b"1" * 6000, None)])
def test_the_receiver_reads_integers_of_any_length(body: bytes, number: str | None) -> None:
    message = ServiceBusMessage(body)
    assert receiver.number_in(message) == (number or "1" * 6000)  # type: ignore[arg-type]


@pytest.mark.parametrize("body", [b"", b"abc", b"\xff\xfe", b"1.5"])
def test_the_receiver_tells_what_is_not_an_integer(body: bytes) -> None:
    assert receiver.number_in(ServiceBusMessage(body)) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("refusal", "roles"),
    [
        ("Unauthorized access. 'Send' claim(s) are required", "the role … Data Sender"),
        ("Unauthorized access. 'Listen' claim(s) are required", "the role … Data Receiver"),
        ("Token rejected", "the roles … Data Sender and Data Receiver"),
    ],
)
def test_who_may_not_is_told_the_role_that_is_missing(refusal: str, roles: str) -> None:
    told = servicebus.explain(
        ServiceBusAuthorizationError(message=refusal), doing="sending to q", namespace="ns"
    )
    expected = roles.replace("…", "Azure Service Bus")
    assert told == f"sending to q in ns failed: {refusal}; give the identity {expected}"
