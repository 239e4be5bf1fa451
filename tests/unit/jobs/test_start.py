"""The payloads as programs: what they say and how they end when they cannot begin."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import JOBS, VARIABLES

PAYLOADS = ("sender", "processor", "receiver")


def start(payload: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return subprocess.run(
        [sys.executable, str(JOBS / f"{payload}.py")],
        cwd=cwd,
        env=bare | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_missing_variable_is_one_sentence_and_exit_status_2(payload: str, tmp_path: Path) -> None:
    ended = start(payload, tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: FULLY_QUALIFIED_NAMESPACE is not set; allowed: ")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stdout == ""


def test_a_dotenv_file_in_the_working_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "FULLY_QUALIFIED_NAMESPACE=sb-test.servicebus.windows.net\n"
        "INPUT_QUEUE_NAME=parameters\nMESSAGE_COUNT=none\n"
    )
    ended = start("sender", tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == "error: MESSAGE_COUNT is 'none'; allowed: an integer of 0 or more\n"


def test_a_credential_that_nobody_accepts_is_one_sentence_and_exit_status_1(tmp_path: Path) -> None:
    ended = start(
        "receiver",
        tmp_path,
        FULLY_QUALIFIED_NAMESPACE="sb-test.servicebus.windows.net",
        OUTPUT_QUEUE_NAME="results",
        AZURE_TOKEN_CREDENTIALS="environmentcredential",
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: no credential was accepted")
    assert "AZURE_CLIENT_ID" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_payload_imports_nothing_of_the_orchestrator_nor_an_http_client_it_does_not_use() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(JOBS)!r}); import processor, receiver, sender; "
        "print(sorted({'orchestrator', 'aiohttp', 'uuid_utils'} & set(sys.modules)))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "[]\n"
