"""Tag names and values of a subscription: those in use, and those made beforehand.

`tagNames` of the Resource Manager REST reference (Tags, 2021-04-01): a name can be made before any
resource has it, with values to choose from; it can go when it has no values, a value when nobody
has it.
"""

from __future__ import annotations

import secrets

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import ResourceId, parse
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, Reply

_STORED = "Microsoft.Resources/tagNames"
_AT = "/subscriptions/{}/tagNames"
MAX_NAME, MAX_VALUE = 512, 256
Names = dict[str, dict[str, int]]


def tag_name_routes() -> dict[tuple[str, str], Handler]:
    """What answers at a subscription's `tagNames`."""
    name, value = f"{_AT}/{{}}", f"{_AT}/{{}}/tagValues/{{}}"
    return {
        ("GET", _AT): _list,
        ("PUT", name): _put_name,
        ("DELETE", name): _delete_name,
        ("PUT", value): _put_value,
        ("DELETE", value): _delete_value,
    }


def _id(call: Call) -> ResourceId:
    return parse(f"/subscriptions/{call.arm.subscription}/providers/{_STORED}/default")


def _made(call: Call) -> dict[str, list[str]]:
    body = call.arm.store.get(_id(call))
    found: dict[str, list[str]] = body["properties"]["names"] if body else {}
    return found


async def _keep(call: Call, made: dict[str, list[str]]) -> None:
    id = _id(call)
    body = {"id": id.text, "name": id.name, "type": _STORED, "properties": {"names": made}}
    await call.arm.store.write(put=[(id, body, secrets.token_hex(8))])


def _names(call: Call) -> Names:
    """Every name with its values and how many resources have them; names are one in any case."""
    names: Names = {name: dict.fromkeys(values, 0) for name, values in _made(call).items()}
    spelt = {name.lower(): name for name in names}
    for record in call.arm.store.all():
        for name, value in record.read().get("tags", {}).items():
            values = names.setdefault(spelt.setdefault(name.lower(), name), {})
            values[value] = values.get(value, 0) + 1
    return names


def _shown_value(call: Call, name: str, value: str, count: int) -> JSON:
    base = f"/subscriptions/{call.arm.subscription}/tagNames/{name}"
    return {
        "id": f"{base}/tagValues/{value}",
        "tagValue": value,
        "count": {"type": "Total", "value": count},
    }


def _shown(call: Call, name: str, values: dict[str, int]) -> JSON:
    return {
        "id": f"/subscriptions/{call.arm.subscription}/tagNames/{name}",
        "tagName": name,
        "count": {"type": "Total", "value": sum(values.values())},
        "values": [_shown_value(call, name, value, count) for value, count in values.items()],
    }


async def _list(call: Call) -> Answer:
    return [_shown(call, name, values) for name, values in sorted(_names(call).items())]


def _spelling(names: Names, name: str) -> str | None:
    return next((it for it in names if it.lower() == name.lower()), None)


async def _put_name(call: Call) -> Answer:
    wanted = call.arguments[1]
    if not 1 <= len(wanted) <= MAX_NAME or set(wanted) & set("<>%&\\?/"):
        raise ArmError(
            "InvalidTagName",
            f"A tag name has 1 to {MAX_NAME} characters, none of them one of <>%&\\?/.",
        )
    async with call.arm.changes.turn(_id(call)):
        names = _names(call)
        known = _spelling(names, wanted)
        if known is None:
            await _keep(call, {**_made(call), wanted: []})
    name = known or wanted
    return Reply(_shown(call, name, names.get(name, {})), 200 if known else 201)


async def _delete_name(call: Call) -> Answer:
    async with call.arm.changes.turn(_id(call)):
        names = _names(call)
        name = _spelling(names, call.arguments[1])
        if name is None:
            return Reply(None, 204)
        if names[name]:
            raise ArmError(
                "Conflict",
                f"The tag name '{name}' has values: {', '.join(list(names[name])[:5])}. Delete "
                "them first, and take the tag off the resources that have it.",
                409,
            )
        await _keep(call, {it: values for it, values in _made(call).items() if it != name})
    return Reply(None, 200)


async def _put_value(call: Call) -> Answer:
    _, wanted, value = call.arguments
    if len(value) > MAX_VALUE:
        raise ArmError("InvalidTagValue", f"A tag value has at most {MAX_VALUE} characters.")
    async with call.arm.changes.turn(_id(call)):
        names = _names(call)
        name = _spelling(names, wanted)
        if name is None:
            raise ArmError(
                "TagNameNotFound", f"The tag name '{wanted}' does not exist. Create it first.", 404
            )
        known = value in names[name]
        if not known:
            made = _made(call)
            await _keep(call, {**made, name: [*made.get(name, []), value]})
    count = names[name].get(value, 0)
    return Reply(_shown_value(call, name, value, count), 200 if known else 201)


async def _delete_value(call: Call) -> Answer:
    async with call.arm.changes.turn(_id(call)):
        names = _names(call)
        name = _spelling(names, call.arguments[1])
        value = call.arguments[2]
        if name is None or value not in names[name]:
            return Reply(None, 204)
        if names[name][value]:
            raise ArmError(
                "Conflict",
                f"The tag value '{value}' of '{name}' is in use by {names[name][value]} resources.",
                409,
            )
        made = _made(call)
        await _keep(call, {**made, name: [it for it in made[name] if it != value]})
    return Reply(None, 200)
