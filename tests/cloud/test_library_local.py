"""`orchestrator.local_cloud()`: a local cloud for the length of a `with` block."""

from __future__ import annotations

import http.client
import json
import ssl
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import orchestrator
from orchestrator import errors
from orchestrator.localcloud.steering.client import SteeringClient
from tests.cloud.library_world import SETTINGS, make_project
from tests.conftest import Token

PORTS = '"state"\nport = 0\nidentity_port = 0\namqp_port = 0\namqps_port = 0\n'


def project(folder: Path) -> Path:
    return make_project(folder, SETTINGS.replace('"state"\n', PORTS))


def test_it_starts_makes_everything_and_leaves_nothing_running(tmp_path: Path) -> None:
    path = project(tmp_path)
    with orchestrator.local_cloud(settings=path) as orc:
        run = orc.start("talker", env={"WORD": "notebook"})
        assert [line.text for line in run.follow()][0] == "line 0 of notebook"  # noqa: RUF015
        with orchestrator.local_cloud(settings=path, up=False) as same:
            assert same.execution(run.name) == run.execution
        assert orc.jobs(), "the inner block found it running, and left it so"
        name = run.name
    with pytest.raises(errors.NotReachable, match="No local cloud is running"):
        orc.jobs()
    with orchestrator.local_cloud(settings=path, up=False) as again:
        assert again.execution(name).succeeded, "its state stays"
    assert (tmp_path / "state").is_dir()


def test_a_state_folder_of_ones_own_and_no_settings_at_all(tmp_path: Path) -> None:
    empty = orchestrator.Settings(
        profiles=orchestrator.load_settings(project(tmp_path / "p")).profiles, folder=tmp_path
    )
    with orchestrator.local_cloud(tmp_path / "mine", settings=empty) as orc:
        assert orc.profile.state == tmp_path / "mine"
        with pytest.raises(errors.NotFound):
            orc.jobs()
        with pytest.raises(errors.SettingsNotFound) as caught:
            orc.up()
        assert "orchestrator init" in caught.value.hint


def test_a_profile_on_azure_has_no_local_cloud(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.toml"
    path.write_text(
        '[profiles.azure]\nkind = "azure"\nresource_group = "rg"\nenvironment = "e"\n'
        'subscription = "11111111-2222-3333-4444-555555555555"\n'
    )
    with (
        pytest.raises(errors.ProfileError, match="is on Azure"),
        orchestrator.local_cloud(settings=path),
    ):
        pass


def test_a_local_cloud_that_cannot_start_says_why(tmp_path: Path) -> None:
    path = project(tmp_path)
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "arm.sqlite").write_bytes(b"this is no database" * 100)
    with (
        pytest.raises(errors.NotReachable) as caught,
        orchestrator.local_cloud(settings=path),
    ):
        pass
    assert "arm.sqlite" in caught.value.message
    assert "orchestrator local reset" in caught.value.hint


def test_the_limits_are_those_of_the_profile_that_started_it(tmp_path: Path) -> None:
    path = project(tmp_path)
    strict = path.read_text()
    path.write_text(strict.replace(PORTS, f'{PORTS}limits = "relaxed"\n'))
    with orchestrator.local_cloud(settings=path) as orc:
        orc.queues.create("large", orchestrator.settings.QueueSpec())
        orc.queues["large"].send("x" * 300_000, properties={"note": "y" * 40_000})
    path.write_text(strict)
    with orchestrator.local_cloud(settings=path) as orc:
        queue = orc.queues["large"]
        with pytest.raises(errors.InvalidRequest, match="is larger than"):
            queue.send("x" * 300_000)
        with pytest.raises(errors.OrchestratorError, match="its property note alone 40,000"):
            queue.send("small", properties={"note": "y" * 40_000})
        (kept,) = queue.receive(5)
        assert len(kept.body) == 300_000


def test_who_asks_too_often_is_refused_where_the_profile_says_so(tmp_path: Path) -> None:
    path = project(tmp_path)
    path.write_text(path.read_text().replace(PORTS, f'{PORTS}throttling = "enforce"\n'))
    with orchestrator.local_cloud(settings=path):
        connection = json.loads((tmp_path / "state" / "cloud.json").read_text())
        address = urlsplit(connection["resource_manager"])
        context = ssl.create_default_context(cafile=connection["ca"])
        link = http.client.HTTPSConnection(str(address.hostname), address.port, context=context)
        headers = {"Authorization": f"Bearer {Token(connection).text()}"}
        SteeringClient(connection).freeze()
        SteeringClient(connection).advance(5 * 24 * 3600)
        now = SteeringClient(connection).clock()["time"]
        for _ in range(5000):
            link.request("GET", "/tenants?api-version=2022-12-01", headers=headers)
            answer = link.getresponse()
            said = answer.read()
            if answer.status != 200:
                break
        link.close()
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
        assert json.loads(said)["error"]["code"] == "TenantRequestsThrottled"
        # The service's time, which is steered.
        told = parsedate_to_datetime(answer.headers["Date"])
        assert told == datetime.fromisoformat(now).replace(microsecond=0)
