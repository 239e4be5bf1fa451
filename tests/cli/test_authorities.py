"""`local env` keeps what a shell trusts already: a company's authority, say."""

from __future__ import annotations

import json
import ssl
import stat
from pathlib import Path

import pytest
import trustme

from orchestrator.cli.authorities import BUNDLES
from tests.cli.asking import ok
from tests.cli.conftest import Cli


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def company(tmp_path: Path) -> Path:
    path = tmp_path / "company.pem"
    trustme.CA(organization_name="A company").cert_pem.write_to_path(path)
    return path


def exports(cli: Cli) -> dict[str, str]:
    return dict(json.loads(ok(cli("local", "env", "-o", "json"))))


def authorities(path: str) -> set[bytes]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    return set(context.get_ca_certs(binary_form=True))


def test_without_any_of_ones_own_the_bundle_is_the_clouds(cli: Cli) -> None:
    values = exports(cli)
    assert Path(values["SSL_CERT_FILE"]).name == "ca-bundle.pem"
    assert Path(values["NODE_EXTRA_CA_CERTS"]).name == "ca.pem"


@pytest.mark.parametrize("variable", BUNDLES)
def test_ones_own_stay_trusted_beside_the_clouds(
    cli: Cli, company: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = exports(cli)
    monkeypatch.setenv(variable, str(company))
    values = exports(cli)
    wanted = authorities(plain["SSL_CERT_FILE"]) | authorities(str(company))
    assert authorities(plain["NODE_EXTRA_CA_CERTS"]) < wanted
    for name in BUNDLES:
        assert authorities(values[name]) == wanted, name
    assert stat.S_IMODE(Path(values["SSL_CERT_FILE"]).stat().st_mode) & 0o077 == 0


def test_a_shell_that_has_them_already_keeps_its_own_and_no_former_clouds(
    cli: Cli, company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(company))
    first = exports(cli)
    for name in BUNDLES:
        monkeypatch.setenv(name, first[name])
    bundle = Path(first["SSL_CERT_FILE"])
    written = bundle.read_bytes()
    former = trustme.CA().cert_pem.bytes()
    bundle.write_bytes(written + former)  # as if the cloud had had another authority then
    assert exports(cli) == first
    assert bundle.read_bytes() == written


def test_a_folder_of_authorities_is_kept_as_well(
    cli: Cli, company: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(company.parent))
    assert authorities(str(company)) < authorities(exports(cli)["REQUESTS_CA_BUNDLE"])


def test_a_file_that_is_not_there_is_told_and_left_out(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    done = cli("local", "env", "-o", "json")
    assert "SSL_CERT_FILE names" in done.err
    assert "gone.pem, which cannot be read (No such file or directory)" in done.err
    assert Path(json.loads(ok(done))["SSL_CERT_FILE"]).name == "ca-bundle.pem"
