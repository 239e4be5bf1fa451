"""What `infra` deploys: which template, compiled, with which parameters.

A template is Bicep (.bicep) or an ARM template (.json). Each of its parameters has its value from
the first of these that gives one:

1. `--set name=value`,
2. a parameters file: .bicepparam (which names its template) or .json,
3. the settings, for the names below: where it is, what is named in the profile, the queues, and
   what each job does with them,
4. the outputs of the deployment of the infrastructure, for parameters of the same name, when it is
   another template,
5. the template itself.

So no name is written twice, and a template that knows nothing of the settings deploys all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from orchestrator import shipped
from orchestrator.azure.names import STACK
from orchestrator.errors import BadInput, SettingsError
from orchestrator.queues.body import queue_properties, resource_name

if TYPE_CHECKING:
    from orchestrator.azure.profile import Profile
    from orchestrator.settings import Settings

SHARED_IDENTITY = "id-jobs-shared"


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A template ready to be sent.

    Attributes:
        path: The file it comes from.
        name: Of its deployment: "infra" for the profile's own template.
        content: The ARM template.
        parameters: name -> `{"value": …}` or `{"reference": …}`, as a deployment takes them.
    """

    path: Path
    name: str
    content: dict[str, Any]
    parameters: dict[str, dict[str, Any]]

    @property
    def declared(self) -> Mapping[str, Mapping[str, Any]]:
        """The template's parameters as it declares them."""
        return self.content.get("parameters") or {}


def load(
    settings: Settings,
    profile: Profile,
    template: str | Path | None = None,
    *,
    parameters: str | Path | None = None,
    values: Mapping[str, Any] | None = None,
    name: str | None = None,
    outputs: Callable[[], Mapping[str, Any]] = dict,
    known: Mapping[str, Any] | None = None,
) -> Template:
    """The template with its parameters.

    Args:
        template: A file; None: the profile's.
        parameters: A parameters file, in place of the one that `template` may be itself.
        values: Single parameters; text is read as the parameter's type says.
        name: Of the deployment; None: "infra", or after the file.
        outputs: Reads the outputs of the infrastructure's deployment.
        known: More values for parameters that the settings' are like: used where declared.

    Raises:
        BadInput: A file that is not there or is no template, a parameter that there is not, a value
            that is not of its type, or one that is missing.
        BicepError: The Bicep is wrong; the message says where.
    """
    file = Path(template) if template is not None else infra_file(settings, profile)
    own = template is None or file.absolute() == infra_file(settings, profile).absolute()
    source, given = _source(file, None if parameters is None else Path(parameters))
    content = compiled(source)
    name = name or (STACK if own else _name_of(source))
    declared = content.get("parameters") or {}
    found = {**from_settings(settings, profile), **(known or {})}
    merged = {key: {"value": value} for key, value in found.items() if key in declared}
    _check_names(given, declared, "the parameters file")
    merged |= given
    for key, value in (values or {}).items():
        _check_names([key], declared, "--set")
        merged[key] = {"value": _typed(key, value, declared[key])}
    missing = [k for k, d in declared.items() if k not in merged and not _optional(d)]
    if missing and name != STACK:
        told = outputs()
        merged |= {key: {"value": told[key]} for key in missing if key in told}
        missing = [key for key in missing if key not in told]
    if missing:
        raise _missing(source, missing, declared)
    return Template(path=source, name=name, content=content, parameters=merged)


def _source(file: Path, parameters: Path | None) -> tuple[Path, dict[str, dict[str, Any]]]:
    """(the template's file, the parameters that files give). Either may name the template."""
    given: dict[str, dict[str, Any]] = {}
    source = file
    files = [file] if parameters is None else [file, parameters]
    for one in files:
        if not one.is_file():
            raise BadInput(f"There is no file {one}.", "Name another, or: orchestrator init")
    for one in files:
        if _is_parameters(one):
            using, given = _parameters(one)
            source = using or source
    if source.suffix == ".bicepparam":
        raise BadInput(f"{source} names no template.", "Begin it with: using 'main.bicep'")
    return source, given


def infra_file(settings: Settings, profile: Profile) -> Path:
    """The profile's template or parameters file. Raises SettingsError when there is none."""
    if profile.spec.infra:
        return settings.folder / Path(profile.spec.infra).expanduser()
    beside = settings.folder / shipped.TEMPLATE
    if beside.is_file():
        return beside
    found = shipped.template()
    if found is None:
        raise SettingsError(
            "There is no template to deploy, and this installation brings none.",
            f"Write {shipped.TEMPLATE}, or name one: infra in the profile.",
        )
    return found


def from_settings(settings: Settings, profile: Profile) -> dict[str, Any]:
    """What the settings say, by the names of parameters that it is for."""
    from orchestrator.planning.verbs import PROJECT_TAG

    registry, dot, rest = (profile.registry or "").partition(".")
    watched = {
        rule.queue
        for job in settings.jobs.values()
        for rule in (job.scale.rules if job.scale else ())
        if rule.queue and rule.type == "azure-servicebus" and not rule.auth
    }
    own = {name: job for name, job in settings.jobs.items() if job.own_identity}
    shares = len(own) < len(settings.jobs)
    named = {
        "location": profile.location,
        "environmentName": profile.environment,
        "serviceBusNamespaceName": profile.namespace,
        "workspaceName": profile.workspace,
        "registryName": registry if dot and rest.startswith("azurecr.") else None,
    }
    # Images of a local cloud come from no registry unless the profile names one.
    server = {"registryLoginServer": profile.registry or ""} if profile.kind == "local" else {}
    return {
        **{key: value for key, value in named.items() if value},
        **server,
        "tags": {PROJECT_TAG: settings.project},
        "sharedIdentityName": (profile.identity or SHARED_IDENTITY) if shares else "",
        "queues": [
            {"name": resource_name(name), "properties": queue_properties(spec)}
            for name, spec in settings.queues.items()
        ],
        "jobs": [
            {
                "name": name,
                "sends": [resource_name(queue) for queue in job.sends or ()],
                "receives": [resource_name(queue) for queue in job.receives or ()],
            }
            for name, job in own.items()
        ],
        "scaledQueues": sorted(resource_name(q) for q in watched if q in settings.queues),
    }


# ------------------------------------------------------------------------------- files


def compiled(path: Path) -> dict[str, Any]:
    """The ARM template of a .bicep or .json file."""
    if path.suffix == ".bicep":
        return _bicep(path)
    content = _json(path)
    if "resources" not in content:
        raise BadInput(f"{path} is no ARM template: it has no resources.", "Name a template.")
    return content


def _is_parameters(path: Path) -> bool:
    if path.suffix == ".bicepparam":
        return True
    return path.suffix == ".json" and "resources" not in _json(path)


def _parameters(path: Path) -> tuple[Path | None, dict[str, dict[str, Any]]]:
    """(the template that the file names, its parameters)."""
    if path.suffix == ".bicepparam":
        return _bicep_parameters(path)
    content = _json(path)
    given = content.get("parameters", content)
    if not isinstance(given, dict) or not all(isinstance(v, dict) for v in given.values()):
        raise BadInput(
            f"{path} is no parameters file.",
            'Such a file is: {"parameters": {"name": {"value": …}}}',
        )
    return None, given


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}.", "Name another file.") from None
    except ValueError as error:
        raise BadInput(f"{path} is not JSON: {error}.", "Correct it, or name another.") from None
    if not isinstance(content, dict):
        raise BadInput(f"{path} is no template: it is not a JSON object.", "Name another file.")
    return content


def _name_of(path: Path) -> str:
    """A deployment's name after its file: the folder's for main.bicep, else the file's."""
    word = path.absolute().parent.name if path.stem == "main" else path.stem
    name = "".join(c if c.isalnum() or c in "-_.()" else "-" for c in word)[:64]
    return name if name and name != STACK else f"{name or 'template'}-other"


# ------------------------------------------------------------------------------- values


def _optional(declaration: Mapping[str, Any]) -> bool:
    return "defaultValue" in declaration or bool(declaration.get("nullable"))


def _check_names(names: Any, declared: Mapping[str, Any], whose: str) -> None:
    for name in names:
        if name not in declared:
            near = get_close_matches(name, declared, 1)
            known = ", ".join(declared) or "none"
            raise BadInput(
                f'The template has no parameter "{name}", which {whose} gives.',
                f'Did you mean "{near[0]}"?' if near else f"It has: {known}.",
            )


_KINDS = {"int": int, "bool": bool, "array": list, "object": dict}


def _typed(name: str, value: Any, declaration: Mapping[str, Any]) -> Any:
    """`value` as the parameter's type: text of the command line is read as JSON where it must be.

    A type of the template's own is not looked up here: what reads as JSON is taken so.
    """
    if not isinstance(value, str):
        return value
    kind = str(declaration.get("type") or "").lower().removeprefix("secure")
    if kind == "string":
        return value
    try:
        read = json.loads(value.lower() if kind == "bool" else value)
    except ValueError:
        if kind not in _KINDS:
            return value
        read = None
    wanted = _KINDS.get(kind)
    if wanted and (not isinstance(read, wanted) or (kind == "int" and isinstance(read, bool))):
        example = {"int": "10", "bool": "true", "array": '["a"]', "object": '{"a": 1}'}[kind]
        shown = "" if _secret(declaration) else f" {value}"
        raise BadInput(
            f'The parameter "{name}" is of type {kind}, and{shown or " what is given"} is not.',
            f"Such as: --set '{name}={example}'",
        )
    return read


def _secret(declaration: Mapping[str, Any]) -> bool:
    return str(declaration.get("type") or "").lower().startswith("secure")


def _missing(path: Path, names: list[str], declared: Mapping[str, Mapping[str, Any]]) -> BadInput:
    lines = []
    for name in names:
        text = (declared[name].get("metadata") or {}).get("description") or ""
        lines.append(f"\n  {name}: {text}" if text else f"\n  {name}")
    one = len(names) == 1
    return BadInput(
        f"{path.name} needs {'a parameter' if one else 'parameters'} that nothing gives:"
        + "".join(lines),
        f"Give {'it' if one else 'them'}: --set {names[0]}=…, or --parameters FILE",
    )


# ------------------------------------------------------------------------------- Bicep


class _Made(msgspec.Struct, frozen=True):
    """What a file was compiled to, and from which states of which files."""

    template: dict[str, Any]
    source: tuple[tuple[Path, int, int], ...]


# A program that deploys again and again (a notebook, tests) compiles a template that has not
# changed once.
_made: dict[Path, _Made] = {}


def _bicep(path: Path) -> dict[str, Any]:
    key = path.absolute()
    kept = _made.get(key)
    if kept is not None and kept.source == _states([f for f, *_ in kept.source]):
        return kept.template
    from orchestrator.bicep import front

    built = front.build(path)
    if built.files:
        _made[key] = _Made(built.template, _states(built.files))
    return built.template


def _states(files: Sequence[Path]) -> tuple[tuple[Path, int, int], ...]:
    found = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            found.append((file, 0, -1))
        else:
            found.append((file, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def _bicep_parameters(path: Path) -> tuple[Path | None, dict[str, dict[str, Any]]]:
    from orchestrator.bicep import front

    built = front.build_params(path)
    if built.external_inputs:
        kinds = ", ".join(sorted({str(one["kind"]) for one in built.external_inputs.values()}))
        raise BadInput(
            f"{path} asks for external inputs ({kinds}), which nobody gives here.",
            "Read such values with readEnvironmentVariable('NAME').",
        )
    return built.using, built.parameters
