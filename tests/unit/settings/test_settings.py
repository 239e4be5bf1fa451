"""What right settings mean."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.errors import JobNotFound
from orchestrator.settings import SecretRef, load

ROOT = Path(__file__).parents[3]


def test_the_starter_file_is_right() -> None:
    settings = load(ROOT / "orchestrator.toml")
    assert list(settings.jobs) == ["sender", "processor", "receiver"]
    assert settings.default_profile == "local"
    assert settings.jobs["processor"].cron == "* * * * *"
    assert settings.jobs["sender"].timeout == timedelta(minutes=10)
    scale = settings.jobs["receiver"].scale
    assert scale is not None
    assert scale.rules[0].queue == "results"
    assert scale.polling_interval == timedelta(seconds=5)
    assert settings.queues["results"].duplicate_detection == timedelta(minutes=10)
    assert settings.images["sender"].process == ("{python}", "jobs/sender.py")


def test_every_key_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.toml"
    path.write_text(
        """
        [profiles.local]
        kind = "local"
        port = 24443
        state = "~/cloud"
        [profiles.elsewhere]
        kind = "azure"
        subscription = "11111111-2222-3333-4444-555555555555"
        tenant = "11111111-2222-3333-4444-666666666666"
        resource_group = "rg-(test)_1"
        environment = "env"
        resource_manager = "https://management.usgovcloudapi.net/"
        [jobs.everything]
        trigger = "event"
        image = "server.example.com:5000/team/app:1.2@sha256:abc"
        cpu = 1
        command = ["python", "-m", "app"]
        args = ["--queue", "${namespace}/q", "$${literal}"]
        retries = 3
        parallelism = 2
        completions = 4
        timeout = "1h30m"
        workload_profile = "Consumption"
        [jobs.everything.env]
        PLAIN = "x"
        TOKEN = { secret = "token" }
        [jobs.everything.secrets]
        token = { env = "TOKEN" }
        from-file = { file = "token.txt" }
        from-vault = { key_vault = "https://v.vault.azure.net/secrets/t", identity = "system" }
        [jobs.everything.scale]
        min_executions = 1
        max_executions = 5
        polling_interval = "20s"
        rules = [
          { name = "redis", type = "redis", auth = [{ secret = "token", parameter = "p" }] },
        ]
        """
    )
    job = load(path).job("everything")
    assert job.cpu == 1.0
    assert job.timeout == timedelta(hours=1, minutes=30)
    assert job.env == {"PLAIN": "x", "TOKEN": SecretRef(secret="token")}
    assert job.secrets["from-vault"].identity == "system"
    assert job.scale is not None
    assert job.scale.rules[0].auth[0].parameter == "p"


def test_the_only_profile_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.toml"
    path.write_text('[profiles.cloud]\nkind = "azure"')
    assert load(path).default_profile == "cloud"


def test_orchestrator_settings_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text('[profiles.cloud]\nkind = "azure"')
    assert load(environ={"ORCHESTRATOR_SETTINGS": str(path)}).path == path


def test_an_unknown_job_is_told_with_what_was_perhaps_meant() -> None:
    with pytest.raises(JobNotFound) as caught:
        load(ROOT / "orchestrator.toml").job("recever")
    assert '"receiver"' in caught.value.hint
