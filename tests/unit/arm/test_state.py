"""The state folder and the certificates in it."""

from __future__ import annotations

import json
import ssl
import stat
import sys
from datetime import timedelta
from pathlib import Path

import certifi
import pytest
from cryptography import x509

from orchestrator.clock import ManualClock, SystemClock
from orchestrator.localcloud import tls
from orchestrator.localcloud.state import (
    AlreadyRunning,
    LocalCloudError,
    StateFolder,
    StateUnreadable,
    make_folder,
    write_private,
)
from orchestrator.localcloud.tls import Certificates

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    made = StateFolder(tmp_path / "deep" / "state")
    made.acquire()
    return made


def test_one_server_at_a_time(folder: StateFolder) -> None:
    assert folder.in_use()
    with pytest.raises(AlreadyRunning) as caught:
        StateFolder(folder.path).acquire(timeout=0.01)
    assert str(folder.path) in caught.value.message
    folder.release()
    assert not folder.in_use()


def test_settings_stay_the_same(folder: StateFolder) -> None:
    settings = folder.settings()
    settings.ports = {"https": 1}
    folder.save(settings)
    assert folder.settings() == settings


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"tenant": 5}', "\x00\x01"],
)
def test_damaged_settings_are_refused_and_left_alone(folder: StateFolder, text: str) -> None:
    path = folder.file("local.json")
    path.write_text(text)
    with pytest.raises(StateUnreadable) as caught:
        folder.settings()
    assert str(path) in caught.value.message
    assert path.read_text() == text


def test_a_setting_of_the_wrong_type_is_refused(folder: StateFolder) -> None:
    folder.save(folder.settings())
    path = folder.file("local.json")
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"ports": {"https": "14443"}}))
    with pytest.raises(StateUnreadable, match="ports"):
        folder.settings()


@posix
def test_only_the_owner_can_read_anything(folder: StateFolder) -> None:
    folder.save(folder.settings())
    folder.publish({"pid": 1})
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    for name in ("local.json", "cloud.json", "lock"):
        assert stat.S_IMODE(folder.file(name).stat().st_mode) == 0o600


@posix
def test_a_folder_that_others_could_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "open"
    path.mkdir(mode=0o755)
    make_folder(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_file_in_the_folders_place_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalCloudError, match="cannot be used"):
        StateFolder(tmp_path / "file").acquire()


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_private(path, b"old")
    with pytest.raises(TypeError):
        write_private(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_damaged_connection_file_counts_as_none(folder: StateFolder) -> None:
    assert folder.connection() is None
    for text in ("{", "[]", '{"pid": "x"}'):
        folder.file("cloud.json").write_text(text)
        assert folder.connection() is None


# ---------------------------------------------------------------- certificates ----


def _server(folder: StateFolder) -> x509.Certificate:
    content = folder.file("server.pem").read_bytes()
    return x509.load_pem_x509_certificate(content[content.index(b"-----BEGIN CERT") :])


def test_the_certificate_names_every_host_that_clients_use(folder: StateFolder) -> None:
    Certificates(folder, SystemClock()).prepare()
    names = _server(folder).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) >= {
        "localhost",
        "*.servicebus.windows.net",
        "*.servicebus.localhost",
        "management.azure.com",
        "api.loganalytics.io",
    }
    assert {str(ip) for ip in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "::1"}


def test_the_bundle_trusts_the_world_and_us(folder: StateFolder) -> None:
    certificates = Certificates(folder, SystemClock())
    certificates.prepare()
    bundle = certificates.bundle.read_bytes()
    assert Path(certifi.where()).read_bytes() in bundle
    assert certificates.ca.read_bytes() in bundle
    assert ssl.create_default_context(cafile=str(certificates.bundle))


def test_certificates_are_kept_until_shortly_before_they_expire(folder: StateFolder) -> None:
    clock = ManualClock(SystemClock().time())
    Certificates(folder, clock).prepare()
    ca, first = folder.file("ca.pem").read_bytes(), _server(folder)
    clock.jump(timedelta(days=300).total_seconds())
    Certificates(folder, clock).prepare()
    assert _server(folder) == first
    clock.jump(timedelta(days=80).total_seconds())
    again = Certificates(folder, clock)
    context = again.context()
    again.prepare()
    assert _server(folder).not_valid_after_utc > first.not_valid_after_utc
    assert folder.file("ca.pem").read_bytes() == ca
    assert context
    assert again.renew() is False


def test_a_certificate_of_an_older_version_without_todays_names_is_replaced(
    folder: StateFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr(tls, "NAMES", ("127.0.0.1", "localhost"))
        Certificates(folder, SystemClock()).prepare()
    ca, first = folder.file("ca.pem").read_bytes(), _server(folder)
    Certificates(folder, SystemClock()).prepare()
    second = _server(folder)
    assert second != first
    assert folder.file("ca.pem").read_bytes() == ca
    Certificates(folder, SystemClock()).prepare()
    assert _server(folder) == second


def test_a_damaged_certificate_is_a_clear_error(folder: StateFolder) -> None:
    certificates = Certificates(folder, SystemClock())
    certificates.prepare()
    folder.file("server.pem").write_text("no certificate")
    with pytest.raises(StateUnreadable, match=r"server\.pem"):
        Certificates(folder, SystemClock()).prepare()
