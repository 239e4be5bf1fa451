"""The templates that come along: they compile, explain themselves, and tell no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.azure.profile import resolve
from orchestrator.bicep import compile_file, compile_params
from orchestrator.infra.template import from_settings, load
from orchestrator.jobs.export import as_bicep, as_json
from orchestrator.settings import load as load_settings
from tests.unit.control.test_job_export import live

ROOT = Path(__file__).resolve().parents[3]
TEMPLATES = ROOT / "templates"
BICEP = sorted(TEMPLATES.rglob("*.bicep"))
MAINS = [TEMPLATES / "infra" / "main.bicep", TEMPLATES / "jobs" / "main.bicep"]


def ids(path: Path) -> str:
    return str(path.relative_to(TEMPLATES))


def resources(template: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The resources of a template and of the modules in it."""
    found = template["resources"]
    for resource in found.values() if isinstance(found, dict) else found:
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from resources(resource["properties"]["template"])
        else:
            yield resource


@pytest.mark.parametrize("path", BICEP, ids=ids)
def test_each_compiles_without_a_warning_and_explains_what_it_takes_and_tells(path: Path) -> None:
    compiled = compile_file(path)
    assert compiled.warnings == []
    for part in ("parameters", "outputs"):
        for name, declared in compiled.template.get(part, {}).items():
            assert declared.get("metadata", {}).get("description"), f"{part} {name}"


@pytest.mark.parametrize("path", MAINS, ids=ids)
def test_every_version_is_generally_available(path: Path) -> None:
    for resource in resources(compile_file(path).template):
        if resource["type"] != "Microsoft.Insights/diagnosticSettings":  # it has no newer one
            assert re.fullmatch(r"20\d\d-\d\d-\d\d", resource["apiVersion"]), resource["type"]


def test_no_output_is_a_secret() -> None:
    def outputs(template: dict[str, Any]) -> Iterator[Any]:
        yield from template.get("outputs", {}).values()
        found = template["resources"]
        for resource in found.values() if isinstance(found, dict) else found:
            if resource["type"] == "Microsoft.Resources/deployments":
                yield from outputs(resource["properties"]["template"])

    for main in MAINS:
        for output in outputs(compile_file(main).template):
            text = json.dumps(output).lower()
            assert "list" not in text.replace("description", ""), text
            assert "key" not in text
            assert not str(output["type"]).lower().startswith("secure")


def test_the_namespace_has_no_keys_and_the_registry_no_admin() -> None:
    found = {r["type"]: r for r in resources(compile_file(MAINS[0]).template)}
    namespace = found["Microsoft.ServiceBus/namespaces"]["properties"]
    assert namespace["disableLocalAuth"] is True
    assert namespace["minimumTlsVersion"] == "1.2"
    registry = found["Microsoft.ContainerRegistry/registries"]["properties"]
    assert registry["adminUserEnabled"] is False
    assert "retentionPolicy" not in json.dumps(list(found.values()))


@pytest.mark.parametrize("name", ["dev", "private"])
def test_parameters_files_give_what_the_template_takes(name: str) -> None:
    found = compile_params(TEMPLATES / "infra" / f"{name}.bicepparam")
    assert found.warnings == []
    assert found.using == MAINS[0]
    declared = compile_file(MAINS[0]).template["parameters"]
    assert found.values.keys() <= declared.keys()
    # Queues stand in the settings alone.
    assert not {"queues", "jobs", "scaledQueues"} & found.values.keys()


def test_the_templates_defaults_are_those_of_the_starter_settings() -> None:
    settings = load_settings(ROOT / "orchestrator.toml")
    profile = resolve(settings, "local", environ={})
    given = from_settings(settings, profile)
    declared = compile_file(MAINS[0]).template["parameters"]
    for queue in given["queues"]:
        queue["properties"].pop("requiresSession")
    for name in ("queues", "jobs", "scaledQueues"):
        assert declared[name]["defaultValue"] == given[name], name
    assert given["sharedIdentityName"] == ""


def test_the_starters_profiles_need_no_option_at_all() -> None:
    settings = load_settings(ROOT / "orchestrator.toml")
    made = load(settings, resolve(settings, "local", environ={}))
    assert made.name == "infra"
    assert made.parameters["serviceBusNamespaceName"] == {"value": "sb-local"}
    azure = {"ORCHESTRATOR_SUBSCRIPTION": "11111111-2222-3333-4444-555555555555"}
    made = load(settings, resolve(settings, "azure", environ=azure))
    assert made.name == "infra"
    assert made.parameters["virtualNetworkEnabled"] == {"value": False}
    assert "serviceBusNamespaceName" not in made.parameters


def test_a_template_is_compiled_again_when_a_module_of_it_changes(tmp_path: Path) -> None:
    (tmp_path / "m.bicep").write_text("output x string = 'one'\n")
    main = tmp_path / "main.bicep"
    main.write_text("module m 'm.bicep' = {\n  name: 'm'\n}\noutput y string = m.outputs.x\n")
    settings = load_settings(ROOT / "orchestrator.toml")
    profile = resolve(settings, "local", environ={})

    def text() -> str:
        return json.dumps(load(settings, profile, main).content)

    assert "one" in text()
    (tmp_path / "m.bicep").write_text("output x string = 'another'\n")
    assert "another" in text()


def test_an_exported_job_compiles_to_what_is_exported_as_json(tmp_path: Path) -> None:
    file = tmp_path / "job.bicep"
    file.write_text(as_bicep(live()), encoding="utf-8")
    compiled = compile_file(file)
    # The vault of a live job's secret is where it is: its address is one cloud's.
    assert [warning.code for warning in compiled.warnings] == ["no-hardcoded-env-urls"]
    wanted = json.loads(as_json(live()))
    (made,) = compiled.template["resources"]
    (job,) = wanted["resources"]
    cpu = made["properties"]["template"]["containers"][0]["resources"]
    assert cpu["cpu"] == "[json('0.5')]"  # Bicep has no fractions
    cpu["cpu"] = 0.5
    assert made == job
    assert compiled.template["parameters"] == wanted["parameters"]
