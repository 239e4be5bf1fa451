"""The built-in functions of Bicep: their arguments, results, and what is special about each.

A signature is written `a, b?, c* -> result`: `?` may be left out, `*` any number (`+` at least one,
`2+` at least two). Types: string, int, bool, object, array, any, lambdaN (of N variables; lambda1-2
one or two). Source: Bicep's documentation of functions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

AZ = "az"
THIS = "this"  # the resource whose body it is used in

# flags
DEFAULTS_ONLY = "only as a parameter's default"
INLINE = "evaluated while deploying: a variable that uses it is written where it is used"
LOADS = "read while compiling, kept in a variable"
LOADS_INDIRECT = "read while compiling, kept in a variable unless it is the whole value of one"
PARAMS_ONLY = "only in .bicepparam files"
SCOPE = "names a scope"

_SIGNATURES = """
sys any(any) -> any
sys concat(array+) -> array
sys concat(string|int|bool+) -> string
sys cidrSubnet(string, int, int) -> string
sys cidrHost(string, int) -> string
sys parseCidr(string) -> object
sys buildUri(object) -> string
sys parseUri(string) -> object
sys format(string, any*) -> string
sys base64(string) -> string
sys padLeft(string|int, int, string?) -> string
sys replace(string, string, string) -> string
sys toLower(string) -> string
sys toUpper(string) -> string
sys length(string|object|array) -> int
sys split(string, string|array) -> array
sys join(array, string) -> string
sys string(any) -> string
sys int(string|int) -> int
sys uniqueString(string+) -> string
sys guid(string+) -> string
sys trim(string) -> string
sys uri(string, string) -> string
sys substring(string, int, int?) -> string
sys take(array, int) -> array
sys take(string, int) -> string
sys skip(array, int) -> array
sys skip(string, int) -> string
sys empty(null|object|array|string) -> bool
sys contains(object, string) -> bool
sys contains(array, any) -> bool
sys contains(string, string) -> bool
sys intersection(object2+) -> object
sys intersection(array2+) -> array
sys union(object2+) -> object
sys union(array2+) -> array
sys shallowMerge(array) -> object
sys first(array) -> any
sys first(string) -> string
sys last(array) -> any
sys last(string) -> string
sys indexOf(string, string) -> int
sys indexOf(array, any) -> int
sys lastIndexOf(string, string) -> int
sys lastIndexOf(array, any) -> int
sys startsWith(string, string) -> bool
sys endsWith(string, string) -> bool
sys distinct(array) -> array
sys like(string, string) -> bool
sys min(int+) -> int
sys min(array) -> int
sys max(int+) -> int
sys max(array) -> int
sys range(int, int) -> array
sys base64ToString(string) -> string
sys base64ToJson(string) -> any
sys uriComponentToString(string) -> string
sys uriComponent(string) -> string
sys dataUriToString(string) -> string
sys dataUri(any) -> string
sys array(any) -> array
sys bool(any) -> bool
sys json(string) -> any
sys dateTimeAdd(string, string, string?) -> string
sys dateTimeToEpoch(string?) -> int
sys dateTimeFromEpoch(int?) -> string
sys utcNow(string?) -> string
sys newGuid() -> string
sys loadTextContent(string, string?) -> string
sys loadFileAsBase64(string) -> string
sys loadJsonContent(string, string?, string?) -> any
sys loadYamlContent(string, string?, string?) -> any
sys loadDirectoryFileInfo(string, string?) -> array
sys items(object) -> array
sys objectKeys(object) -> array
sys flatten(array) -> array
sys filter(array, lambda1-2) -> array
sys map(array, lambda1-2) -> array
sys mapValues(object, lambda1) -> object
sys sort(array, lambda2) -> array
sys reduce(array, any, lambda2-3) -> any
sys toObject(array, lambda1, lambda1?) -> object
sys groupBy(array, lambda1, lambda1?) -> object
sys nameof(any) -> string
sys fail(string) -> any
sys readEnvironmentVariable(string, string?) -> string
sys externalInput(string, any?) -> any
az tenant() -> object
az managementGroup(string?) -> object
az subscription(string?) -> object
az resourceGroup(string?, string?) -> object
az deployment() -> object
az deployer() -> object
az environment() -> object
az getSecret(string, string, string, string, string?) -> string
az resourceId(string, string+) -> string
az subscriptionResourceId(string, string+) -> string
az tenantResourceId(string, string+) -> string
az extensionResourceId(string, string, string+) -> string
az managementGroupResourceId(string, string+) -> string
az roleDefinitions(string) -> object
az providers(string, string?) -> object
az toLogicalZone(string, string, string) -> string
az toLogicalZones(string, string, array) -> array
az toPhysicalZone(string, string, string) -> string
az toPhysicalZones(string, string, array) -> array
az pickZones(string, string, string, int?, int?) -> array
az reference(string, string?, string?) -> object
this exists() -> bool
this existingResource() -> any
"""

_FLAGS = {
    "utcNow": DEFAULTS_ONLY,
    "newGuid": DEFAULTS_ONLY,
    "loadTextContent": LOADS_INDIRECT,
    "loadFileAsBase64": LOADS_INDIRECT,
    "loadJsonContent": LOADS,
    "loadYamlContent": LOADS,
    "loadDirectoryFileInfo": LOADS,
    "readEnvironmentVariable": PARAMS_ONLY,
    "externalInput": PARAMS_ONLY,
    "toLogicalZone": INLINE,
    "toLogicalZones": INLINE,
    "toPhysicalZone": INLINE,
    "toPhysicalZones": INLINE,
    "reference": INLINE,
    "exists": INLINE,
    "existingResource": INLINE,
    "tenant": SCOPE,
    "managementGroup": SCOPE,
    "subscription": SCOPE,
    "resourceGroup": SCOPE,
}
_LIST = re.compile(r"list[a-zA-Z]*\Z")
_LINE = re.compile(r"(\w+) (\w+)\((.*)\) -> (\w+)")
_PARAMETER = re.compile(r"([a-z|]+?(?:lambda)?)(\d(?:-\d)?)?([?*+]?)\Z")


@dataclass(slots=True, frozen=True)
class Parameter:
    types: tuple[str, ...]  # "lambda" alone is a lambda
    least: int = 0  # a lambda's fewest and most variables
    most: int = 0


@dataclass(slots=True, frozen=True)
class Signature:
    namespace: str
    name: str
    fixed: tuple[Parameter, ...]
    required: int
    rest: Parameter | None
    result: str
    flag: str

    def accepts_count(self, count: int) -> bool:
        return count >= self.required and (self.rest is not None or count <= len(self.fixed))

    def parameter(self, index: int) -> Parameter | None:
        return self.fixed[index] if index < len(self.fixed) else self.rest

    @property
    def counts(self) -> str:
        """How many arguments, for people."""
        if self.rest is not None:
            return f"at least {self.required}"
        if self.required == len(self.fixed):
            return str(self.required)
        return f"{self.required} to {len(self.fixed)}"


def _signature(line: str) -> Signature:
    found = _LINE.fullmatch(line)
    assert found is not None, line
    namespace, name, parameters, result = found.groups()
    fixed: list[Parameter] = []
    required = 0
    rest = None
    for item in filter(None, parameters.split(", ")):
        shape = _PARAMETER.fullmatch(item)
        assert shape is not None, line
        types, digits, mark = shape.groups()
        if types == "lambda":
            least, _, most = digits.partition("-")
            parameter = Parameter(("lambda",), int(least), int(most or least))
        else:
            parameter = Parameter(tuple(types.split("|")))
        if mark in ("*", "+"):
            rest = parameter
            required += 0 if mark == "*" else int(digits or 1)
        else:
            fixed.append(parameter)
            required += mark != "?"
    return Signature(namespace, name, tuple(fixed), required, rest, result, _FLAGS.get(name, ""))


@lru_cache(maxsize=1)
def _table() -> dict[str, list[Signature]]:
    table: dict[str, list[Signature]] = {}
    for line in _SIGNATURES.strip().splitlines():
        signature = _signature(line)
        table.setdefault(signature.name, []).append(signature)
    return table


_LIST_SIGNATURE = Signature(
    AZ,
    "list*",
    (Parameter(("string",)), Parameter(("string",)), Parameter(("object",))),
    2,
    None,
    "any",
    INLINE,
)


def signatures(name: str) -> list[Signature]:
    found = _table().get(name)
    if found is None and _LIST.match(name):
        return [_LIST_SIGNATURE]
    return found or []


def is_known(name: str, *, namespace: str = "", params: bool = False) -> bool:
    found = signatures(name)
    return any(
        (one.namespace == namespace if namespace else one.namespace != THIS)
        and (params or one.flag != PARAMS_ONLY)
        for one in found
    )


# functions of the template language that Bicep has its own form for
_INSTEAD = {
    "if": "condition ? a : b",
    "createArray": "[a, b]",
    "createObject": "{ name: value }",
    "add": "a + b",
    "sub": "a - b",
    "mul": "a * b",
    "div": "a / b",
    "mod": "a % b",
    "and": "a && b",
    "or": "a || b",
    "not": "!a",
    "equals": "a == b",
    "less": "a < b",
    "lessOrEquals": "a <= b",
    "greater": "a > b",
    "greaterOrEquals": "a >= b",
    "coalesce": "a ?? b",
    "variables": "the variable's name",
    "parameters": "the parameter's name",
    "copyIndex": "a loop with an index: [for (item, index) in items: …]",
}


def instead(name: str) -> str:
    """What Bicep has in place of a function of the template language, or ""."""
    return _INSTEAD.get(name, "")


def names() -> list[str]:
    return [name for name in _table() if is_known(name)]


def flag(name: str) -> str:
    found = signatures(name)
    return found[0].flag if found else ""


def needs_inlining(name: str) -> bool:
    return flag(name) == INLINE
