"""Modules of registries and template specs: from the cache, and fetched into it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bicep.restore import Registry, RestoreFailed, restore
from tests.unit.bicep.compiling import at, refused, template, write
from tests.unit.bicep.registry_server import AZURES, Identity, RegistryServer, running, served

COMPILED = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "contentVersion": "1.0.0.0",
    "resources": [],
    "outputs": {"o": {"type": "string", "value": "x"}},
}
TEXT = json.dumps(COMPILED).encode()
SPEC = "11111111-1111-1111-1111-111111111111/group/spec"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BICEP_CACHE_DIRECTORY", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RegistryServer]:
    """A registry at localhost and at a name of Azure's, that this machine trusts."""
    server = RegistryServer()
    with running(server, tmp_path) as authority:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        monkeypatch.setenv("BICEP_TRUSTED_REGISTRIES", "localhost")
        look_up = socket.getaddrinfo

        def here(host: Any, *rest: Any, **named: Any) -> Any:
            return look_up("127.0.0.1" if host == AZURES else host, *rest, **named)

        monkeypatch.setattr(socket, "getaddrinfo", here)
        yield server


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_modules_come_from_the_cache(tmp_path: Path) -> None:
    config = {"moduleAliases": {"br": {"our": {"registry": "a.azurecr.io", "modulePath": "m"}}}}
    write(
        tmp_path,
        {
            "cache/br/a.azurecr.io/m$net/1.2$/main.json": json.dumps(COMPILED),
            "cache/br/a.azurecr.io/m$net/V1-Rc$9/main.json": json.dumps(COMPILED),
            "bicepconfig.json": json.dumps(config) + " // ours",
        },
    )
    source = """
    module a 'br:A.azurecr.io/m/net:1.2' = { name: 'a' }
    module b 'br/our:net:1.2' = { name: 'b' }
    module c 'br/our:net:V1-Rc' = { name: 'c' }
    """
    found = template(tmp_path, source)
    assert [one["properties"]["template"] for one in found["resources"]] == [COMPILED] * 3


def test_a_module_is_fetched_into_the_cache(
    tmp_path: Path, registry: RegistryServer, cache: Path
) -> None:
    manifest = registry.publish("our/net", "1.0", TEXT)
    host = f"localhost:{registry.port}"
    for source in (f"br:{host}/our/net:1.0", f"br:{host}/our/net@{manifest}"):
        found = template(tmp_path, f"module m '{source}' = {{ name: 'm' }}\n")
        assert at(found, "resources/0/properties/template") == COMPILED
    place = f"br/localhost${registry.port}/our$net"
    kept = files(cache)
    assert [kept[f"{place}/1.0$/{name}"] for name in ("main.json", "manifest", "metadata")] == [
        TEXT.decode(),
        registry.manifests["/v2/our/net/manifests/1.0"].decode(),
        json.dumps({"manifestDigest": manifest}),
    ]
    assert f"{place}/{manifest.replace(':', '#')}/main.json" in kept
    assert len(kept) == 6
    asked = len(registry.asked)
    template(tmp_path, f"module m 'br:{host}/our/net:1.0' = {{ name: 'm' }}\n")
    assert len(registry.asked) == asked
    # where the blobs are has no need of the token, and must not have it
    elsewhere = [token for host, path, token in registry.asked if path.startswith("/elsewhere/")]
    assert elsewhere == ["", ""]


def test_a_module_of_a_private_registry_is_fetched_with_a_login_of_azure(
    tmp_path: Path, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.private = True
    registry.publish("net", "1.0", TEXT)
    source = f"module m 'br:{AZURES}:{registry.port}/net:1.0' = {{ name: 'm' }}\n"
    config = {"cloud": {"credentialPrecedence": ["Environment"]}}
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID"):
        monkeypatch.delenv(name, raising=False)
    (found,) = refused(tmp_path, source, bicepconfig__json=json.dumps(config))
    assert found.code == "BCP190"
    assert "wants a login, and there is none (Environment: " in found.message
    with served(Identity) as port:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        config["cloud"]["credentialPrecedence"].append("ManagedIdentity")
        compiled = template(tmp_path, source, bicepconfig__json=json.dumps(config, indent=1))
    assert at(compiled, "resources/0/properties/template") == COMPILED


def test_a_login_of_azure_is_given_to_no_other_registry(
    tmp_path: Path, registry: RegistryServer
) -> None:
    registry.private = True
    registry.publish("net", "1.0", TEXT)
    source = f"module m 'br:localhost:{registry.port}/net:1.0' = {{ name: 'm' }}\n"
    (found,) = refused(tmp_path, source)
    assert "wants a login that is not supported here" in found.message
    assert not any("exchange" in path for _, path, _ in registry.asked)


def test_a_registry_that_nobody_trusts_is_not_asked(
    tmp_path: Path, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BICEP_TRUSTED_REGISTRIES", "*.localhost, other.example")
    (found,) = refused(tmp_path, f"module m 'br:localhost:{registry.port}/a:1' = {{ name: 'm' }}\n")
    assert (found.code, found.hint) == ("BCP446", "Trust it: BICEP_TRUSTED_REGISTRIES=localhost")
    assert registry.asked == []


def test_patience_is_as_long_as_the_registry_asks(tmp_path: Path, registry: RegistryServer) -> None:
    registry.publish("net", "1.0", TEXT)
    registry.next = [(429, {"Retry-After": "3"}), (503, {})]
    pauses: list[float] = []
    restore(
        Registry(f"localhost:{registry.port}", "net", pause=pauses.append), "1.0", tmp_path / "m"
    )
    assert pauses == [3, 2]
    registry.next = [(503, {})] * 3
    again = Registry(f"localhost:{registry.port}", "net", pause=pauses.append)
    with pytest.raises(RestoreFailed, match="answers 503"):
        restore(again, "1.0", tmp_path / "n")
    assert not (tmp_path / "n").exists()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("missing", "no such module or version"),
        ("blob", "does not have the digest that it says"),
        ("manifest", "something else"),
        ("layers", "is no Bicep module"),
        ("template", "holds no template"),
        ("redirect", "answers 307"),
    ],
)
def test_a_module_that_can_not_be_fetched(
    tmp_path: Path, registry: RegistryServer, cache: Path, wrong: str, why: str
) -> None:
    registry.publish("net", "1.0", TEXT)
    path = "/v2/net/manifests/1.0"
    match wrong:
        case "missing":
            registry.manifests.clear()
        case "blob":
            registry.blobs = dict.fromkeys(registry.blobs, b"{}")
        case "manifest":
            registry.manifests[path] = b"<html>"
        case "layers":
            registry.publish("net", "1.0", TEXT, "application/vnd.other")
        case "template":
            registry.publish("net", "1.0", b"{}")
        case "redirect":
            registry.next = [(307, {"Location": f"http://localhost:{registry.port}/"})]
    (found,) = refused(tmp_path, f"module m 'br:localhost:{registry.port}/net:1.0' = {{}}\n")
    assert (found.code, found.line, found.column) == ("BCP190", 1, 10)
    assert why in found.message
    assert files(cache) == {}


def test_a_manifest_that_is_not_the_one_that_is_asked_for(
    tmp_path: Path, registry: RegistryServer
) -> None:
    wanted = registry.publish("net", "1.0", TEXT)
    other = registry.publish("net", "2.0", TEXT + b" ")
    registry.manifests[f"/v2/net/manifests/{wanted}"] = registry.manifests[
        f"/v2/net/manifests/{other}"
    ]
    source = f"module m 'br:localhost:{registry.port}/net@{wanted}' = {{ name: 'm' }}\n"
    (found,) = refused(tmp_path, source)
    assert "does not have the digest that is asked for" in found.message


def test_a_registry_that_is_not_there_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def nobody(*_: object, **__: object) -> Any:
        asked.append(1)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    source = "module {0} 'br:none.azurecr.io/{0}:9' = {{ name: '{0}' }}\n"
    first, second = refused(tmp_path, source.format("net") + source.format("vm"))
    assert [first.code, second.code, len(asked)] == ["BCP190", "BCP190", 1]
    assert "br:none.azurecr.io/net:9" in first.message
    assert "does not answer" in first.message


def test_a_template_spec_of_the_cache_is_linked(tmp_path: Path) -> None:
    id_ = (
        "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/Group"
        "/providers/Microsoft.Resources/templateSpecs/spec/versions/V1"
    )
    parameters = {"parameters": {"size": {"type": "string"}}}
    version = {"id": id_, "properties": {"mainTemplate": {**COMPILED, **parameters}}}
    config = {
        "moduleAliases": {
            "ts": {"our": {"subscription": SPEC.partition("/")[0], "resourceGroup": "Group"}}
        }
    }
    write(
        tmp_path,
        {
            f"cache/ts/{SPEC}/v1/main.json": json.dumps(version),
            "bicepconfig.json": json.dumps(config),
        },
    )
    source = f"""
    module a 'ts:{SPEC}:V1' = {{ name: 'a', params: {{ size: 'S' }} }}
    module b 'ts/our:spec:V1' = {{ name: 'b', params: {{ size: a.outputs.o }} }}
    """
    found = template(tmp_path, source)
    for resource in found["resources"]:
        assert resource["properties"]["templateLink"] == {"id": id_}
        assert "template" not in resource["properties"]
    missing = refused(tmp_path, f"module a 'ts:{SPEC}:V1' = {{ name: 'a' }}\n")
    assert [one.code for one in missing] == ["BCP035"]


def test_a_template_spec_is_fetched_with_a_login_of_azure(
    tmp_path: Path, registry: RegistryServer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscription, group, name = SPEC.split("/")
    id_ = (
        f"/subscriptions/{subscription}/resourceGroups/{group}"
        f"/providers/Microsoft.Resources/templateSpecs/{name}/versions/V1"
    )
    version = json.dumps({"id": id_, "properties": {"mainTemplate": COMPILED}})
    registry.specs[id_] = version.encode()
    endpoint = {"resourceManagerEndpoint": f"https://localhost:{registry.port}/"}
    cloud = {
        "currentProfile": "Here",
        "profiles": {"Here": endpoint},
        "credentialPrecedence": ["ManagedIdentity"],
    }
    config = json.dumps({"cloud": cloud})
    with served(Identity) as port:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        source = f"module a 'ts:{SPEC}:V1' = {{ name: 'a' }}\n"
        found = template(tmp_path, source, bicepconfig__json=config)
    assert at(found, "resources/0/properties/templateLink/id") == id_
    assert files(cache) == {f"ts/{SPEC}/v1/main.json": version}
    ((_, path, _),) = registry.asked
    assert path == f"{id_}?api-version=2022-02-01"


@pytest.mark.parametrize(
    ("reference", "code", "said"),
    [
        (f"ts:{SPEC}:V2", "BCP190", "wants a login"),
        ("ts:subscription/group/spec:1", "BCP193", "no template spec"),
        ("ts/none:spec:1", "BCP212", '"none"'),
        ("ts/half:spec:1", "BCP215", '"resourceGroup"'),
    ],
)
def test_a_template_spec_that_can_not_be_had(
    tmp_path: Path, reference: str, code: str, said: str
) -> None:
    config = {
        "moduleAliases": {"ts": {"half": {"subscription": SPEC.partition("/")[0]}}},
        "cloud": {"credentialPrecedence": []},
    }
    (found,) = refused(
        tmp_path,
        f"module a '{reference}' = {{ name: 'a' }}\n",
        bicepconfig__json=json.dumps(config),
    )
    assert (found.code, found.line, found.column) == (code, 1, 10)
    assert said in found.message


def test_files_that_stand_for_an_aliases_modules(tmp_path: Path) -> None:
    config = {
        "moduleAliases": {"br": {"our": {"registry": "ours.azurecr.io"}}},
        "moduleAliasesMock": {"br": {"our": {"mapToFilePath": "here"}}},
    }
    others = {"bicepconfig.json": json.dumps(config), "here/net/vnet.bicep": "param a string\n"}
    write(tmp_path, {"x.txt": "", **others})
    source = "module m 'br/our:net/vnet:1.0' = { name: 'm', params: { a: 'x' } }\n"
    assert at(template(tmp_path, source), "resources/0/properties/template/parameters") == {
        "a": {"type": "string"}
    }
