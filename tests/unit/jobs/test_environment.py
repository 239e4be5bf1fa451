import os
from pathlib import Path

import pytest

import environment
import processor
import receiver
import sender
from environment import VariableError


def test_the_sender_has_the_defaults_of_the_original_sample() -> None:
    settings = sender.Settings.from_environment()
    assert (settings.lowest, settings.highest) == (1, 10)
    assert settings.count == 100
    assert settings.send_type == "list"
    assert settings.queue == "parameters"
    assert settings.connection.custom_endpoint == ""


def test_the_processor_and_the_receiver_have_the_defaults_of_the_original_sample() -> None:
    processing = processor.Settings.from_environment()
    assert (processing.at_most, processing.patience) == (20, 5)
    assert (processing.input_queue, processing.output_queue) == ("parameters", "results")
    receiving = receiver.Settings.from_environment()
    assert (receiving.per_call, receiving.patience, receiving.queue) == (20, 5, "results")


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESSAGE_COUNT", " ")
    assert sender.Settings.from_environment().count == 100


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("FULLY_QUALIFIED_NAMESPACE", "", "a host name"),
        ("FULLY_QUALIFIED_NAMESPACE", "sb://x.servicebus.windows.net", "a host name"),
        ("FULLY_QUALIFIED_NAMESPACE", "x.servicebus.windows.net/queue", "a host name"),
        ("INPUT_QUEUE_NAME", "", "the name of a queue"),
        ("INPUT_QUEUE_NAME", "two words", "the name of a queue"),
        ("MESSAGE_COUNT", "-1", "0 or more"),
        ("MESSAGE_COUNT", "many", "an integer"),
        ("MESSAGE_COUNT", "1.5", "an integer"),
        ("MIN_NUMBER", "one", "an integer"),
        ("MAX_NUMBER", "0", "MIN_NUMBER (1) or more"),
        ("SEND_TYPE", "single", "list or batch"),
        ("MESSAGE_ID_SCOPE", "job", "replica or execution"),
        ("SERVICE_BUS_CUSTOM_ENDPOINT", "127.0.0.1:14671", "sb://<host>:<port>"),
        ("SERVICE_BUS_CA_BUNDLE", "/no/such/file.pem", "a PEM file that exists"),
    ],
)
def test_a_wrong_variable_of_the_sender_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(VariableError) as caught:
        sender.Settings.from_environment()
    assert str(caught.value).startswith(name)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("OUTPUT_QUEUE_NAME", "", "the name of a queue"),
        ("MAX_MESSAGE_COUNT", "0", "1 or more"),
        ("MAX_WAIT_TIME", "0", "more than 0"),
        ("MAX_WAIT_TIME", "nan", "more than 0"),
        ("MAX_WAIT_TIME", "inf", "more than 0"),
        ("MAX_WAIT_TIME", "5s", "a number of seconds"),
    ],
)
@pytest.mark.parametrize("payload", [processor, receiver])
def test_a_wrong_variable_of_the_others_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, payload: object, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(VariableError) as caught:
        payload.Settings.from_environment()  # type: ignore[attr-defined]
    assert str(caught.value).startswith(name)
    assert allowed in str(caught.value)


def test_numbers_may_be_zero_or_negative_for_trying_out_dead_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MIN_NUMBER", "-5")
    monkeypatch.setenv("MAX_NUMBER", "0")
    settings = sender.Settings.from_environment()
    assert {one.number for one in sender.parameters(settings)} == {-5, -4, -3, -2, -1, 0}


def test_a_dotenv_file_adds_variables_but_overrides_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MESSAGE_COUNT", "7")
    monkeypatch.setenv("MAX_NUMBER", "")  # so that monkeypatch removes what is loaded
    monkeypatch.delenv("MAX_NUMBER")
    (tmp_path / ".env").write_text("MESSAGE_COUNT=8\nMAX_NUMBER='30'\n")
    environment.load_dotenv_file(tmp_path)
    settings = sender.Settings.from_environment()
    assert settings.count == 7
    assert settings.highest == 30


def test_no_dotenv_file_is_no_problem(tmp_path: Path) -> None:
    before = dict(os.environ)
    environment.load_dotenv_file(tmp_path)
    assert dict(os.environ) == before


def ids() -> list[str]:
    return [one.id for one in sender.parameters(sender.Settings.from_environment())]


def test_a_replica_gives_its_messages_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_APP_JOB_EXECUTION_NAME", "sender-66v9xh0")
    monkeypatch.setenv("CONTAINER_APP_REPLICA_NAME", "sender-66v9xh0-abcde")
    first = list(sender.parameters(sender.Settings.from_environment()))
    again = list(sender.parameters(sender.Settings.from_environment()))
    assert first == again, "a replica that is tried again sends the same messages"
    assert [one.id for one in first] == [f"sender-66v9xh0-abcde-{n}" for n in range(1, 101)]
    assert len({one.number for one in first}) > 1


@pytest.mark.parametrize(
    "replicas",
    [
        ("sender-66v9xh0-abcde", "sender-66v9xh0-fghij"),
        ("a-name-of-another-kind", "and-another"),
    ],
)
@pytest.mark.parametrize("variable", ["CONTAINER_APP_REPLICA_NAME", "HOSTNAME"])
def test_replicas_side_by_side_share_no_id(
    monkeypatch: pytest.MonkeyPatch, variable: str, replicas: tuple[str, str]
) -> None:
    monkeypatch.setenv("CONTAINER_APP_JOB_EXECUTION_NAME", "sender-66v9xh0")
    found: list[str] = []
    for replica in replicas:
        monkeypatch.setenv(variable, replica)
        found += ids()
    assert len(set(found)) == 200
    assert all(id.startswith("sender-66v9xh0-") for id in found)


def test_executions_on_a_host_of_the_same_name_share_no_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOSTNAME", "my-laptop")
    found: list[str] = []
    for execution in ("sender-66v9xh0", "sender-7777777"):
        monkeypatch.setenv("CONTAINER_APP_JOB_EXECUTION_NAME", execution)
        found += ids()
    assert len(set(found)) == 200


def test_replicas_without_any_name_share_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_APP_JOB_EXECUTION_NAME", "sender-66v9xh0")
    assert len({*ids(), *ids()}) == 200


def test_ids_may_derive_from_the_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_APP_JOB_EXECUTION_NAME", "sender-66v9xh0")
    monkeypatch.setenv("CONTAINER_APP_REPLICA_NAME", "sender-66v9xh0-abcde")
    monkeypatch.setenv("MESSAGE_ID_SCOPE", "execution")
    assert ids() == [f"sender-66v9xh0-{n}" for n in range(1, 101)]


def test_two_runs_outside_container_apps_never_share_an_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOSTNAME", "my-laptop")
    assert len({*ids(), *ids()}) == 200
