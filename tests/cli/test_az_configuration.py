"""What `local env --az` writes, and the `bicep` that az runs from it."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.az_configuration import CLOUD, write
from orchestrator.bicep.__main__ import main

CONNECTION: dict[str, Any] = {
    "resource_manager": "https://127.0.0.1:14443",
    "login": "https://127.0.0.1:14443",
    "logs": "https://127.0.0.1:14443",
    "subscription": "11111111-1111-1111-1111-111111111111",
    "tenant": "22222222-2222-2222-2222-222222222222",
}


def read(path: Path) -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(path)
    return config


def test_the_cloud_is_registered_selected_and_logged_in(tmp_path: Path) -> None:
    folder = write(tmp_path, CONNECTION)
    clouds = read(folder / "clouds.config")
    # `az containerapp list-usages` puts its path right behind it.
    assert clouds[CLOUD]["endpoint_resource_manager"] == f"{CONNECTION['resource_manager']}/"
    assert read(folder / "config")["cloud"]["name"] == CLOUD
    [account] = json.loads((folder / "azureProfile.json").read_text())["subscriptions"]
    assert (account["id"], account["isDefault"]) == (CONNECTION["subscription"], True)
    if os.name == "posix":
        assert folder.stat().st_mode & 0o077 == 0


def test_what_the_user_has_set_there_stays(tmp_path: Path) -> None:
    folder = write(tmp_path, CONNECTION)
    with (folder / "config").open("a") as config:
        config.write("\n[defaults]\ngroup = lab\n")
    profile = json.loads((folder / "azureProfile.json").read_text())
    profile["subscriptions"][0]["user"] = {"name": "somebody", "type": "servicePrincipal"}
    (folder / "azureProfile.json").write_text(json.dumps(profile))
    write(tmp_path, CONNECTION | {"resource_manager": "https://127.0.0.1:24443"})
    assert read(folder / "config")["defaults"]["group"] == "lab"
    assert read(folder / "clouds.config")[CLOUD]["endpoint_resource_manager"].endswith(":24443/")
    assert json.loads((folder / "azureProfile.json").read_text()) == profile
    # Another local cloud in the same place: its predecessor's account leads nowhere.
    write(tmp_path, CONNECTION | {"subscription": "33333333-3333-3333-3333-333333333333"})
    accounts = json.loads((folder / "azureProfile.json").read_text())["subscriptions"]
    assert [it["id"] for it in accounts] == ["33333333-3333-3333-3333-333333333333"]


def test_a_damaged_file_is_written_anew(tmp_path: Path) -> None:
    folder = write(tmp_path, CONNECTION)
    for name in ("config", "clouds.config", "azureProfile.json"):
        (folder / name).write_text("{ no = [\n")
    write(tmp_path, CONNECTION)
    assert read(folder / "config")["cloud"]["name"] == CLOUD
    assert json.loads((folder / "azureProfile.json").read_text())["subscriptions"]


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_its_bicep_compiles_and_a_real_one_is_left_alone(tmp_path: Path) -> None:
    program = write(tmp_path, CONNECTION) / "bin" / "bicep"
    (tmp_path / "main.bicep").write_text("output x string = 'y'\n")
    done = subprocess.run(
        [program, "build", "--stdout", "main.bicep"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["outputs"]["x"]["value"] == "y"
    program.write_text("#!/bin/sh\necho the real one\n")
    write(tmp_path, CONNECTION)
    assert "the real one" in program.read_text()


# ------------------------------------------------- python -m orchestrator.bicep ----


def test_parameters_come_with_their_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_BICEP", "builtin")
    (tmp_path / "main.bicep").write_text("param a string\noutput b string = a\n")
    values = tmp_path / "main.bicepparam"
    values.write_text("using 'main.bicep'\nparam a = 'x'\n")
    assert main(["build-params", str(values), "--stdout"]) == 0
    both = json.loads(capsys.readouterr().out)
    assert json.loads(both["parametersJson"])["parameters"] == {"a": {"value": "x"}}
    assert "b" in json.loads(both["templateJson"])["outputs"]
    assert main(["build-params", str(values)]) == 0
    written = json.loads((tmp_path / "main.parameters.json").read_text())
    assert written["parameters"]["a"]["value"] == "x"
    assert main(["build", str(tmp_path / "main.bicep"), "--outdir", str(tmp_path)]) == 0
    assert "b" in json.loads((tmp_path / "main.json").read_text())["outputs"]


def test_what_is_wrong_is_said_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCHESTRATOR_BICEP", "builtin")
    wrong = tmp_path / "main.bicep"
    wrong.write_text("output x string = nobody\n")
    assert main(["build", str(wrong), "--stdout"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "nobody" in shown.err
    assert main(["build", str(tmp_path / "none.bicep"), "--stdout"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_it_tells_a_version_that_az_can_read() -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator.bicep", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("Bicep CLI version 0.")
