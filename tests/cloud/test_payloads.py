"""The three payloads, as the programs they are, against the local broker.

Nothing of them is replaced: they get a token from the identity endpoint and speak AMQP over TLS,
started with the environment that a job would give them.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable

import pytest
from azure.servicebus import ServiceBusMessage

from tests.cloud.payloads import JOBS, STOPPED, Place, processed, received, sent


def test_a_hundred_messages_go_all_the_way(place: Callable[..., Place]) -> None:
    here = place()
    sending = here.run("sender", CONTAINER_APP_REPLICA_NAME="sender-66v9xh0-ab1de")
    assert sending.returncode == 0
    assert sending.stderr == ""
    messages = sent(sending.stdout)
    assert [one for one, _ in messages] == [f"sender-66v9xh0-ab1de-{n}" for n in range(1, 101)]
    assert sending.stdout.endswith(f"Sent 100 messages to the {here.parameters} queue\n")
    assert here.active(here.parameters) == 100

    processing = here.run("processor")
    assert processing.returncode == 0
    assert processing.stderr == ""
    assert processing.stdout.endswith(
        "Processed 100 messages: 100 completed, 0 dead-lettered, 0 failed\n"
    )
    sequence = ["0", "1", "1", "2", "3", "5", "8", "13", "21", "34"]
    assert {(one, n, result) for one, n, result in processed(processing.stdout)} == {
        (one, n, sequence[int(n) - 1]) for one, n in messages
    }
    assert here.active(here.parameters) == 0

    receiving = here.run("receiver")
    assert receiving.returncode == 0
    assert receiving.stderr == ""
    assert receiving.stdout.endswith(f"Received 100 results from the {here.results} queue\n")
    assert set(received(receiving.stdout)) == {
        (f"{one}-result", sequence[int(n) - 1]) for one, n in messages
    }
    assert here.active(here.results) == 0


@pytest.mark.parametrize("send_type", ["list", "batch"])
def test_five_thousand_messages_spill_over_many_batches(
    place: Callable[..., Place], send_type: str
) -> None:
    here = place(unique_parameters=True)
    sending = here.run("sender", MESSAGE_COUNT="5000", SEND_TYPE=send_type)
    assert sending.returncode == 0
    messages = sent(sending.stdout)
    assert len(messages) == len({one for one, _ in messages}) == 5000
    assert here.active(here.parameters) == 5000
    said = "5000 messages are too many for one call; sending them as batches\n" in sending.stdout
    assert said == (send_type == "list")


def test_no_message_is_a_count_too(place: Callable[..., Place]) -> None:
    here = place()
    sending = here.run("sender", MESSAGE_COUNT="0")
    assert sending.returncode == 0
    assert sending.stdout.endswith(f"Sent 0 messages to the {here.parameters} queue\n")
    assert here.active(here.parameters) == 0


def test_a_sender_that_is_tried_again_sends_the_same_messages(
    place: Callable[..., Place],
) -> None:
    here = place(unique_parameters=True)
    runs = [
        here.run("sender", CONTAINER_APP_REPLICA_NAME="sender-again-ab1de", MESSAGE_COUNT="50")
        for _ in range(2)
    ]
    assert sent(runs[0].stdout) == sent(runs[1].stdout)
    assert here.active(here.parameters) == 50


def test_the_processor_takes_no_more_than_it_is_told(place: Callable[..., Place]) -> None:
    here = place()
    here.put(*["5"] * 25)
    processing = here.run("processor", MAX_MESSAGE_COUNT="20")
    assert processing.returncode == 0
    assert len(processed(processing.stdout)) == 20
    assert here.active(here.parameters) == 5
    assert here.active(here.results) == 20


def test_what_cannot_be_processed_is_dead_lettered_with_the_reason(
    place: Callable[..., Place],
) -> None:
    here = place()
    poison: dict[str | bytes, str] = {
        "abc": "NotAPositiveInteger",
        "0": "NotAPositiveInteger",
        "-3": "NotAPositiveInteger",
        "": "NotAPositiveInteger",
        b"\xff\x00": "NotAPositiveInteger",
        "9999999999": "ResultTooLarge",
        "9" * 5000: "ResultTooLarge",
        "6000000": "ResultTooLarge",
    }
    here.put(*poison, "7")
    processing = here.run("processor")
    assert processing.returncode == 0
    assert processing.stdout.endswith(
        "Processed 9 messages: 1 completed, 8 dead-lettered, 0 failed\n"
    )
    assert processing.stderr.count("Dead-lettered message") == 8
    with (
        here.client() as client,
        client.get_queue_receiver(here.parameters, sub_queue="deadletter") as receiver,
    ):
        letters = {letter.message_id: letter for letter in receiver.peek_messages(20)}
    reasons = {one: letter.dead_letter_reason for one, letter in letters.items()}
    assert reasons == {f"put-{n}": reason for n, reason in enumerate(poison.values())}
    description = letters["put-0"].dead_letter_error_description
    assert description == "the body 'abc' is not a positive integer"
    assert here.dead(here.parameters) == 8


def test_a_number_beyond_pythons_conversion_limit_goes_all_the_way(
    place: Callable[..., Place],
) -> None:
    here = place()
    here.put("100000")
    processing = here.run("processor")
    assert processing.returncode == 0
    ((_, _, result),) = processed(processing.stdout)
    assert len(result) == 20_899
    receiving = here.run("receiver")
    assert received(receiving.stdout) == [("put-0-result", result)]
    assert result.startswith("16052857682729819697")
    assert result.isdecimal()


def test_a_result_that_is_no_number_is_dead_lettered_by_the_receiver(
    place: Callable[..., Place],
) -> None:
    here = place()
    with here.client() as client, client.get_queue_sender(here.results) as sender:
        sender.send_messages([ServiceBusMessage("8"), ServiceBusMessage("eight")])
    receiving = here.run("receiver")
    assert receiving.returncode == 0
    assert len(received(receiving.stdout)) == 1
    assert "NotAnInteger" in receiving.stderr
    assert (here.active(here.results), here.dead(here.results)) == (0, 1)


@pytest.mark.parametrize(
    ("payload", "variable"),
    [
        ("sender", "INPUT_QUEUE_NAME"),
        ("processor", "INPUT_QUEUE_NAME"),
        ("processor", "OUTPUT_QUEUE_NAME"),
        ("receiver", "OUTPUT_QUEUE_NAME"),
    ],
)
def test_a_queue_that_does_not_exist_is_one_sentence(
    place: Callable[..., Place], payload: str, variable: str
) -> None:
    here = place()
    here.put("7")
    ended = here.run(payload, **{variable: "nowhere"})
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert re.fullmatch(r"error: .* the nowhere queue in .* it does not exist; .*", last)
    assert here.active(here.parameters) == 1, "nothing was taken"


def test_a_processor_that_is_stopped_gives_back_what_is_unfinished(
    place: Callable[..., Place],
) -> None:
    here = place()  # with locks of five minutes: whatever is not given back would stay away
    total = 80
    here.put(*["1200000"] * total)
    process = here.start("processor")
    process.until("Processed message")
    process.stop()
    process.wait(28)  # Container Apps kills after 30 s
    assert process.returncode == STOPPED
    assert "unfinished messages were given back to the queue" in process.stderr
    done = len(processed(process.stdout))
    assert 0 < done < total
    assert here.active(here.results) == done
    assert here.active(here.parameters) == total - done

    again = here.run("processor")
    assert again.returncode == 0
    assert len(processed(again.stdout)) == total - done
    assert here.active(here.results) == total


def test_a_processor_that_waits_stops_at_once(place: Callable[..., Place]) -> None:
    here = place()
    process = here.start("processor", MAX_WAIT_TIME="3600")
    process.until("Processing at most")
    time.sleep(1)
    process.stop()
    process.wait(28)
    assert process.returncode == STOPPED
    assert process.stderr == ""


def test_a_processor_that_is_killed_loses_nothing_and_doubles_nothing(
    place: Callable[..., Place],
) -> None:
    here = place(lock=5)
    total = 4000
    here.put(*[str(n % 90 + 1) for n in range(total)])
    killed = here.start("processor")
    killed.until("Processed message")
    killed.kill()
    killed.wait(28)
    assert here.active(here.parameters) > 0, "it was killed amid its work"

    again = here.run("processor", MAX_WAIT_TIME="6")
    assert again.returncode == 0
    assert here.active(here.parameters) == here.dead(here.parameters) == 0
    assert here.active(here.results) == total, "duplicate detection drops what came twice"
    ids = {one for run in (killed, again) for one, _, _ in processed(run.stdout)}
    assert ids <= {f"put-{n}" for n in range(total)}
    results = received(here.run("receiver").stdout)
    assert len(results) == total
    assert {one for one, _ in results} == {f"put-{n}-result" for n in range(total)}
    assert dict(results)["put-6-result"] == "8"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_receiver_that_is_ended_loses_nothing(place: Callable[..., Place], end: str) -> None:
    here = place(lock=5)
    total = 3000
    with here.client() as client, client.get_queue_sender(here.results) as sender:
        for start in range(0, total, 1000):
            sender.send_messages(
                [ServiceBusMessage("8", message_id=f"r-{start + n}") for n in range(1000)]
            )
    ended = here.start("receiver", MAX_MESSAGE_COUNT="500")
    ended.until("Received result")
    ended.stop() if end == "stop" else ended.kill()
    ended.wait(28)
    assert here.active(here.results) > 0, "it was ended amid its work"

    again = here.run("receiver", MAX_WAIT_TIME="1" if end == "stop" else "6")
    assert again.returncode == 0
    lines = Counter(one for one, _ in received(ended.stdout + again.stdout))
    assert set(lines) == {f"r-{n}" for n in range(total)}
    if end == "stop":
        assert set(lines.values()) == {1}, "a receiver that is asked to stop repeats no line"


SLOW = """
import sys, time
sys.path.insert(0, {jobs!r})
import processor
quickly = processor.fibonacci
def slowly(n, **options):
    if n == 30000:
        time.sleep(7)
    return quickly(n, **options)
processor.fibonacci = slowly
sys.exit(processor.run(processor.Settings.from_environment, processor.process))
"""


def test_locks_are_renewed_while_a_result_takes_longer_than_they_last(
    place: Callable[..., Place],
) -> None:
    here = place(lock=5)
    here.put("30000", "30001", "3")
    processing = here.run("processor", code=SLOW.format(jobs=str(JOBS)))
    assert processing.returncode == 0, processing.stderr
    assert processing.stderr == ""
    assert Counter(n for _, n, _ in processed(processing.stdout)) == {
        "3": 1,
        "30000": 1,
        "30001": 1,
    }
    assert here.active(here.parameters) == 0


def test_a_token_of_another_cloud_is_refused_in_one_sentence(place: Callable[..., Place]) -> None:
    here = place()
    ended = here.run("receiver", IDENTITY_HEADER="not-the-secret")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no credential was accepted")
    assert "not-the-secret" not in ended.stderr
