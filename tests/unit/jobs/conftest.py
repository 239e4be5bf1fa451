"""The payloads import each other as scripts do: by bare name, from their own folder."""

import sys
from pathlib import Path

import pytest

JOBS = Path(__file__).resolve().parents[3] / "jobs"

if str(JOBS) not in sys.path:
    sys.path.insert(0, str(JOBS))

VARIABLES = (
    "AZURE_CLIENT_ID",
    "CONTAINER_APP_JOB_EXECUTION_NAME",
    "CONTAINER_APP_REPLICA_NAME",
    "FULLY_QUALIFIED_NAMESPACE",
    "HOSTNAME",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "INPUT_QUEUE_NAME",
    "MAX_MESSAGE_COUNT",
    "MAX_NUMBER",
    "MAX_WAIT_TIME",
    "MESSAGE_COUNT",
    "MESSAGE_ID_SCOPE",
    "MIN_NUMBER",
    "OUTPUT_QUEUE_NAME",
    "SEND_TYPE",
    "SERVICE_BUS_CA_BUNDLE",
    "SERVICE_BUS_CUSTOM_ENDPOINT",
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable of the developer's own shell reaches a test."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FULLY_QUALIFIED_NAMESPACE", "sb-test.servicebus.windows.net")
    monkeypatch.setenv("INPUT_QUEUE_NAME", "parameters")
    monkeypatch.setenv("OUTPUT_QUEUE_NAME", "results")
