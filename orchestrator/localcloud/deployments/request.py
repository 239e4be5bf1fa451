"""What a deployment's request asks for: template, parameters, mode."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from orchestrator.localcloud.arm.content import parse as parse_json
from orchestrator.localcloud.arm.errors import ArmError, invalid_content
from orchestrator.localcloud.arm.provider import JSON
from orchestrator.localcloud.templates.document import Document
from orchestrator.localcloud.templates.environment import Environment, Scope
from orchestrator.localcloud.templates.errors import ExpressionError, NotYetKnown
from orchestrator.localcloud.templates.evaluation import Evaluation
from orchestrator.localcloud.templates.reading import read
from orchestrator.localcloud.templates.values import member

TEMPLATE, PROVIDER, PROVIDER_NO_RBAC = "Template", "Provider", "ProviderNoRbac"
LEVELS = {level.lower(): level for level in (PROVIDER, PROVIDER_NO_RBAC, TEMPLATE)}
"""How much of a deployment is checked before it begins ("ValidationLevel" of the REST reference):
the template alone, or with what the providers say; without the caller's rights or with them."""

MODES = {"incremental": "Incremental", "complete": "Complete"}


def parse_body(raw: bytes) -> Any:
    """A body that may hold a template file as it is: `az` quotes nothing of it.

    Raises:
        ArmError: It cannot be read.
    """
    try:
        return parse_json(raw)
    except ArmError as refusal:
        try:
            return read(raw.decode("utf-8-sig"))
        except (ValueError, RecursionError):
            raise refusal from None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A deployment as it is asked for.

    Attributes:
        document: The template.
        given: Parameter values by name.
        mode: `Incremental` or `Complete`.
        location, tags: Of the deployment itself.
        properties: The whole request's.
        level: How much is checked before it begins, one of `LEVELS`.
        references: Where the values of some parameters come from: secrets of key vaults, by name.
    """

    document: Document
    given: JSON
    mode: str
    location: str | None
    tags: JSON
    properties: JSON = field(default_factory=dict)
    level: str = PROVIDER
    references: JSON = field(default_factory=dict)


def wanted(body: Any, *, modes: bool = True) -> Wanted:
    """Read a request.

    Raises:
        ArmError: Something is missing, or cannot be had here.
    """
    if not isinstance(body, dict):
        raise invalid_content(
            "The request content was invalid and could not be deserialized: 'Required property "
            "'properties' not found in JSON.'."
        )
    properties = member(body, "properties")
    if not isinstance(properties, dict):
        raise invalid_content(
            "The request content was invalid and could not be deserialized: 'Required property "
            "'properties' not found in JSON. Path ''.'.",
            target="properties",
        )
    template = _template(properties)
    mode = member(properties, "mode", "Incremental" if not modes else None)
    if not isinstance(mode, str) or mode.lower() not in MODES:
        raise ArmError(
            "InvalidDeploymentMode" if mode is not None else "InvalidRequestContent",
            f"The deployment mode '{mode}' is not valid: it must be 'Incremental' or 'Complete'."
            if mode is not None
            else "The request content was invalid and could not be deserialized: 'Required "
            "property 'mode' not found in JSON. Path 'properties'.'.",
            target="properties.mode",
        )
    location = member(body, "location")
    tags = member(body, "tags") or {}
    return Wanted(
        Document(template),
        given_parameters(properties),
        MODES[mode.lower()],
        location if isinstance(location, str) else None,
        tags if isinstance(tags, dict) else {},
        properties,
        validation_level(body) or PROVIDER,
        {
            name: reference
            for name, item in _items(properties).items()
            if (reference := member(item, "reference")) is not None
        },
    )


def validation_level(body: Any) -> str | None:
    """`validationLevel` of a request; None where it says nothing.

    Raises:
        ArmError: 400; there is no such level.
    """
    given = member(member(body, "properties"), "validationLevel")
    if given is None:
        return None
    found = LEVELS.get(given.lower()) if isinstance(given, str) else None
    if found is None:
        raise ArmError(
            "InvalidValidationLevel",
            f"The validationLevel '{given}' is not valid: {', '.join(LEVELS.values())} are.",
            target="properties.validationLevel",
        )
    return found


_LEVELS = {word.lower(): word for word in ("none", "requestContent", "responseContent")}


def debug_setting(body: JSON) -> JSON | None:
    """`debugSetting` of a request that was read before; None where there is none.

    Raises:
        ArmError: 400; a level that is none.
    """
    debug = member(member(body, "properties"), "debugSetting")
    if debug is None:
        return None
    given = str(member(debug, "detailLevel") or "none") if isinstance(debug, dict) else "?"
    levels = [_LEVELS.get(word.strip().lower()) for word in given.split(",")]
    if None in levels:
        raise ArmError(
            "InvalidDeploymentDebugSetting",
            f"The detailLevel '{given}' of debugSetting is not valid: it is 'none', "
            "'requestContent', 'responseContent', or the last two with a comma between them.",
            target="properties.debugSetting",
        )
    return {"detailLevel": ", ".join(str(word) for word in levels)}


def _template(properties: JSON) -> JSON:
    template = member(properties, "template")
    link = member(properties, "templateLink")
    if template is not None and link is not None:
        raise ArmError(
            "InvalidDeployment",
            "The deployment has both 'template' and 'templateLink'; only one can be given.",
        )
    if link is not None:
        raise ArmError(
            "InvalidContentLink",
            "The provided content link is invalid or not supported: 'templateLink' needs the 'id' "
            "of a version of a template spec, or a 'uri'.",
            target="properties.templateLink",
        )
    if template is None:
        raise invalid_content(
            "The request content was invalid and could not be deserialized: 'The deployment has "
            "neither 'template' nor 'templateLink'.'.",
            target="properties.template",
        )
    if isinstance(template, str):
        try:
            template = read(template)
        except ValueError as error:
            raise invalid_content(f"The template is not valid JSON: {error}.") from None
    found: JSON = template
    return found


def given_parameters(properties: JSON) -> JSON:
    """The values of `parameters`: `{"name": {"value": …}}`.

    Raises:
        ArmError: One has no value that can be had here.
    """
    values: JSON = {}
    inputs = member(properties, "externalInputs") or {}
    for name, item in _items(properties).items():
        if not isinstance(item, dict):
            raise ArmError(
                "InvalidDeploymentParameterValue",
                f"The value of deployment parameter '{name}' is not valid: it must be an object "
                "with 'value'. Please see https://aka.ms/arm-create-parameter-file for usage "
                "details.",
                target=f"properties.parameters.{name}",
            )
        keys = {key.lower() for key in item}
        # One that was found has its value beside it (`vault_references.py`).
        if member(item, "reference") is not None and "value" not in keys:
            raise ArmError(
                "InvalidDeploymentParameterValue",
                f"The reference of deployment parameter '{name}' is not valid: it needs the id of "
                "a key vault ('keyVault.id') and a 'secretName'. Please see "
                "https://aka.ms/arm-keyvault for usage details.",
                target=f"properties.parameters.{name}",
            )
        if "value" in keys:
            values[name] = member(item, "value")
        elif "expression" in keys:
            values[name] = _expression(name, member(item, "expression"), inputs)
        else:
            raise ArmError(
                "InvalidDeploymentParameterKey",
                f"One of the deployment parameters has an invalid key: '{name}' has no 'value'. "
                "Please see https://aka.ms/arm-create-parameter-file for details.",
                target=f"properties.parameters.{name}",
            )
    return values


def _items(properties: JSON) -> JSON:
    given = member(properties, "parameters") or {}
    if not isinstance(given, dict):
        raise ArmError(
            "InvalidDeploymentParameterValue",
            "'parameters' must be an object with a value for each name.",
            target="properties.parameters",
        )
    # A whole parameters file has them one level deeper.
    inner = member(given, "parameters")
    if member(given, "$schema") is not None and isinstance(inner, dict):
        return inner
    return given


def _expression(name: str, text: Any, inputs: JSON) -> Any:
    """A parameter's value that is computed from external inputs."""

    def nothing(other: str) -> Any:
        raise ExpressionError(f"'{other}' cannot be used there.")

    environment = Environment(Scope(), external_inputs=inputs)
    try:
        return Evaluation(environment, parameter=nothing, variable=nothing).resolve(text)
    except (ExpressionError, NotYetKnown) as error:
        raise ArmError(
            "InvalidDeploymentParameterValue",
            f"The expression of deployment parameter '{name}' is not valid: {error}",
            target=f"properties.parameters.{name}",
        ) from None
