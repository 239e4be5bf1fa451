"""Template functions whose result depends on nothing but their arguments: FUNCTIONS, by name.

arguments.py    what functions take, how they refuse it, and what is equal
texts.py        strings, numbers in strings, encodings, addresses
collections.py  arrays and objects
dates.py        dates and durations
networks.py     ranges of IP addresses
hashing.py      guid() and uniqueString()
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestrator.bicep.evaluate import EvaluationFault
from orchestrator.bicep.pure import collections, dates, hashing, networks, texts
from orchestrator.bicep.pure.arguments import ArgumentFault, bounded, same

Json = Any


def _divide(left: int, right: int) -> int:
    if right == 0:
        raise ArgumentFault("nothing is divided by zero")
    quotient = abs(left) // abs(right)
    return bounded(quotient if (left < 0) == (right < 0) else -quotient)


def _fail(message: str) -> Json:
    raise EvaluationFault(message)


FUNCTIONS: dict[str, Callable[..., Json]] = {
    "add": lambda a, b: bounded(a + b),
    "sub": lambda a, b: bounded(a - b),
    "mul": lambda a, b: bounded(a * b),
    "div": _divide,
    "mod": lambda a, b: a - b * _divide(a, b),
    "not": lambda a: not a,
    "equals": same,
    "less": lambda a, b: texts.order(a) < texts.order(b),
    "lessorequals": lambda a, b: texts.order(a) <= texts.order(b),
    "greater": lambda a, b: texts.order(a) > texts.order(b),
    "greaterorequals": lambda a, b: texts.order(a) >= texts.order(b),
    "createarray": lambda *args: list(args),
    "createobject": collections.create_object,
    "shallowmerge": collections.shallow_merge,
    "flatten": lambda parts: [item for part in parts for item in part],
    "array": collections.array,
    "base64": texts.encode,
    "base64tostring": texts.decode,
    "base64tojson": texts.decode_json,
    "bool": texts.truth,
    "cidrhost": networks.cidr_host,
    "cidrsubnet": networks.cidr_subnet,
    "parsecidr": networks.parse_cidr,
    "concat": collections.concat,
    "contains": collections.contains,
    "datauri": texts.data_uri,
    "datauritostring": texts.from_data_uri,
    "datetimeadd": dates.date_add,
    "datetimefromepoch": dates.from_epoch,
    "datetimetoepoch": dates.to_epoch,
    "distinct": collections.distinct,
    "empty": collections.empty,
    "endswith": lambda value, part: value.lower().endswith(part.lower()),
    "fail": _fail,
    "filter": collections.keep,
    "first": collections.first,
    "format": texts.format_text,
    "groupby": collections.group_by,
    "guid": hashing.guid,
    "indexof": collections.index_of,
    "int": texts.whole_number,
    "intersection": collections.intersection,
    "items": collections.items,
    "join": texts.join,
    "json": texts.read_json,
    "last": collections.last,
    "lastindexof": collections.last_index_of,
    "length": len,
    "like": texts.like,
    "map": collections.change,
    "mapvalues": collections.change_values,
    "max": lambda *args: max(collections.of_numbers(args)),
    "min": lambda *args: min(collections.of_numbers(args)),
    "objectkeys": collections.object_keys,
    "padleft": texts.pad_left,
    "range": collections.numbers,
    "reduce": collections.reduce,
    "replace": texts.replace,
    "skip": lambda value, count: value[max(0, count) :],
    "sort": collections.sort,
    "split": texts.split,
    "startswith": lambda value, part: value.lower().startswith(part.lower()),
    "string": texts.text,
    "substring": texts.substring,
    "take": lambda value, count: value[: max(0, count)],
    "tolower": texts.to_lower,
    "toobject": collections.to_object,
    "toupper": texts.to_upper,
    "trim": str.strip,
    "union": collections.union,
    "uniquestring": hashing.unique_string,
    "uri": texts.uri,
    "uricomponent": texts.uri_component,
    "uricomponenttostring": texts.uri_component_to_string,
}
