"""The shell of the pages that are read beside a terminal runs, in the order of the page, in the
project that `orchestrator init` makes."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import orchestrator
from tests.cli.conftest import Cli
from tests.unit.docs.test_code_blocks import blocks

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not shutil.which("bash"), reason="needs bash"
)
PAGES = ("docs/from-bash-and-az.md", "docs/recipes.md")
BLOCKS = [(where, text) for where, text in blocks("bash") if where.startswith(PAGES)]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample, deployed, with a dead letter and an execution that failed."""
    folder = tmp_path_factory.mktemp("shell")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("ORCHESTRATOR_"):
                patch.delenv(name)
        for port in ("PORT", "IDENTITY_PORT", "AMQP_PORT", "AMQPS_PORT"):
            patch.setenv(f"ORCHESTRATOR_{port}", "0")
        # As after `source .venv/bin/activate`.
        folders = [str(Path(sys.executable).parent), os.environ["PATH"]]
        patch.setenv("PATH", os.pathsep.join(folders))
        cli = Cli(folder)
        assert cli("init").status == 0
        settings = folder / "orchestrator.toml"
        added = [text for where, text in blocks("toml") if where.startswith(PAGES)]
        settings.write_text("\n".join([settings.read_text(encoding="utf-8"), *added]), "utf-8")
        patch.chdir(folder)
        with orchestrator.local_cloud(folder / ".orchestrator" / "local") as orc:
            orc.up()
            assert not orc.start("sender", env={"MESSAGE_COUNT": "none"}).wait("1m").succeeded
            orc.queues["parameters"].send("not a number")
            assert orc.start("processor").wait("1m").succeeded
            yield folder


def test_there_are_several() -> None:
    assert len(BLOCKS) >= 17


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("where", "text"), BLOCKS, ids=[where for where, _ in BLOCKS])
def test_it_runs(where: str, text: str, project: Path) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, f"{where}\n{done.stdout}\n{done.stderr}"
    assert "Something went wrong" not in done.stderr


def test_the_variables_for_terraform_are_what_its_providers_ask_with(project: Path) -> None:
    """`azurerm` reads the metadata of the host and asks its login endpoint for a token."""
    if not shutil.which("jq"):
        pytest.skip("needs jq")
    [text] = [text for where, text in blocks("bash") if where.startswith("docs/terraform.md")]
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{text}\njq -n env"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = json.loads(done.stdout)
    trust = ssl.create_default_context(cafile=told["SSL_CERT_FILE"])
    metadata = f"https://{told['ARM_METADATA_HOSTNAME']}/metadata/endpoints?api-version=2022-09-01"
    with urllib.request.urlopen(metadata, context=trust) as answer:
        cloud = json.load(answer)
    cloud = cloud[0] if isinstance(cloud, list) else cloud
    assert cloud["resourceManager"].rstrip("/") == told["TF_VAR_manager"]
    asked = urllib.parse.urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": told["ARM_CLIENT_ID"],
            "client_secret": told["ARM_CLIENT_SECRET"],
            "scope": "https://management.azure.com//.default",
        }
    )
    login = cloud["authentication"]["loginEndpoint"].rstrip("/")
    token_url = f"{login}/{told['ARM_TENANT_ID']}/oauth2/v2.0/token"
    with urllib.request.urlopen(token_url, asked.encode(), context=trust) as answer:
        token = json.load(answer)["access_token"]
    group = urllib.request.Request(
        f"{told['TF_VAR_manager']}/subscriptions/{told['ARM_SUBSCRIPTION_ID']}"
        "/resourcegroups?api-version=2024-11-01",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(group, context=trust) as answer:
        assert "local" in [found["name"] for found in json.load(answer)["value"]]
