"""Volumes: read from a template, and told to a process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.runtime import process_volumes
from orchestrator.localcloud.runtime.job import Job, read_job
from orchestrator.localcloud.runtime.model import ContainerSpec, Mount, StartFailure
from orchestrator.localcloud.runtime.volumes import container_mounts
from tests.unit.runtime.doubles import job_resource


def job(*secrets: dict[str, Any]) -> Job:
    return read_job(job_resource("sender", secrets=list(secrets)))


def container(**mount: str) -> dict[str, Any]:
    return {"name": "main", "volumeMounts": [{"volumeName": "v", "mountPath": "/v", **mount}]}


def test_without_a_storage_type_it_is_an_empty_dir() -> None:
    [mount] = container_mounts(container(subPath="a/b"), [{"name": "v"}], job())
    assert mount == Mount(volume="v", path="/v", sub_path="a/b")
    assert container_mounts({"name": "main"}, None, job()) == ()


def test_a_secret_volume_holds_all_secrets_or_those_it_lists() -> None:
    owner = job({"name": "token", "value": "t"}, {"name": "pin", "value": "p"})
    [everything] = container_mounts(container(), [{"name": "v", "storageType": "Secret"}], owner)
    assert everything.secrets == {"token": "t", "pin": "p"}
    listed = {
        "name": "v",
        "storageType": "Secret",
        "secrets": [{"secretRef": "PIN", "path": "keys/pin.txt"}],
    }
    [some] = container_mounts(container(), [listed], owner)
    assert some.secrets == {"keys/pin.txt": "p"}
    assert "'p'" not in repr(some)


@pytest.mark.parametrize(
    ("volume", "mount", "why"),
    [
        ({"name": "w"}, {}, "not in the template's volumes"),
        ({"name": "v", "storageType": "AzureFile"}, {}, "AzureFile, which the local cloud"),
        ({"name": "../../v"}, {"volumeName": "../../v"}, "a name that is not allowed: it must"),
        ({"name": "/home"}, {"volumeName": "/home"}, "a name that is not allowed: it must"),
        ({"name": "v.json"}, {"volumeName": "v.json"}, "a name that is not allowed: it must"),
        ({"name": "v"}, {"mountPath": "relative"}, "has to be an absolute path"),
        ({"name": "v"}, {"mountPath": "/a/../../etc"}, "without '..'"),
        ({"name": "v"}, {"subPath": "../../etc"}, "has to be a relative path"),
        (
            {"name": "v", "storageType": "Secret", "secrets": [{"secretRef": "none"}]},
            {},
            "'none', which is not among the secrets of job 'sender'",
        ),
        (
            {"name": "v", "storageType": "Secret", "secrets": [{"secretRef": "vault"}]},
            {},
            "it lives in a Key Vault",
        ),
        (
            {
                "name": "v",
                "storageType": "Secret",
                "secrets": [{"secretRef": "token", "path": "../x"}],
            },
            {},
            "has to be relative and without '..'",
        ),
    ],
)
def test_what_cannot_be_mounted_says_why(
    volume: dict[str, Any], mount: dict[str, str], why: str
) -> None:
    owner = job({"name": "token", "value": "t"}, {"name": "vault", "keyVaultUrl": "https://x"})
    with pytest.raises(StartFailure, match=why) as failure:
        container_mounts(container(**mount), [volume], owner)
    assert failure.value.permanent


def test_a_process_is_told_where_its_volumes_lie(tmp_path: Path) -> None:
    spec = ContainerSpec(
        id="0",
        name="main",
        image="x",
        mounts=(
            Mount(volume="data", path="/data"),
            Mount(volume="keys", path="/data/keys/", secrets={"a": "1", "b/c": "2"}),
        ),
    )
    volumes = process_volumes.lay_out(tmp_path, "replica", spec)
    data, keys = volumes.folders["/data"], volumes.folders["/data/keys"]
    assert (Path(keys) / "b" / "c").read_text() == "2"
    env = volumes.env(
        {"A": "/data", "B": "/data/keys/a", "C": "/database", "D": "x:/data/y", "E": "my/data"}
    )
    listed = json.loads(env.pop("ORCHESTRATOR_VOLUMES"))
    assert listed == {"/data": data, "/data/keys": keys}
    assert env == {
        "A": data,
        "B": f"{keys}/a",
        "C": "/database",
        "D": f"x:{data}/y",
        "E": "my/data",
    }
    assert volumes.words(["--data=/data", "/data/keys"]) == [f"--data={data}", keys]
    below = process_volumes.Volumes({"/data": "/data/state/d", "/data/keys": "/data/state/k"})
    assert below.words(["/data/keys/a:/data"]) == ["/data/state/k/a:/data/state/d"]
    process_volumes.clear(tmp_path, "replica")
    assert not Path(data).exists()
    assert not Path(keys).exists()


def test_without_volumes_nothing_is_changed(tmp_path: Path) -> None:
    spec = ContainerSpec(id="0", name="main", image="x")
    volumes = process_volumes.lay_out(tmp_path, "replica", spec)
    assert volumes.env({"A": "/data"}) == {"A": "/data"}
    assert list(tmp_path.iterdir()) == []
