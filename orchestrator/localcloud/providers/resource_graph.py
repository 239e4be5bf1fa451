"""Microsoft.ResourceGraph: queries over everything that the caller may read, in KQL.

Requests, pages and refusals as "Resources" of the REST reference (2021-03-01 and later) and the
service's own answers have them. A subscription that is not there is left out in silence; a query
about none at all is refused. What is not documented: a semantic error's code beside the few known
ones, for which `InvalidQueryExpression` stands here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import ClassVar

from orchestrator.localcloud.arm.access import visible
from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.arm.ids import parse
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.provider import JSON, Answer, Call, Handler, Provider, ResourceType
from orchestrator.localcloud.arm.shapes import Shape, check_shape
from orchestrator.localcloud.graph.query import Graph, Page
from orchestrator.localcloud.graph.tables import rows
from orchestrator.localcloud.logs.errors import QueryError
from orchestrator.localcloud.providers.management_groups import scopes_above

PAGE = 1000
"""Rows of one page, at most."""

FACET_ROWS = 10
"""Rows of a facet whose request says nothing else."""

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FORMATS = {"table": "table", "objectarray": "objectArray"}
_GROUPS = "/providers/Microsoft.Management/managementGroups"
_INVALID = ArmError(
    "InvalidQuery",
    "Query is invalid. Please refer to the documentation for the Azure Resource Graph service and "
    "fix the error before retrying.",
)
_SHAPE: Shape = {
    "subscriptions": [str],
    "managementGroups": [str],
    "query": str,
    "options": {"$skipToken": str, "resultFormat": str},
    "facets": [{"expression": str, "options": {"sortBy": str, "sortOrder": str, "filter": str}}],
}


class ResourceGraph(Provider):
    """Microsoft.ResourceGraph."""

    namespace: ClassVar[str] = "Microsoft.ResourceGraph"

    def types(self) -> Iterable[ResourceType]:
        """Queries that somebody has saved."""
        return [SavedQueries()]

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """The query itself; everybody may ask, and sees what they may read."""
        return {("POST", f"/providers/{self.namespace}/resources"): _resources}


class SavedQueries(ResourceType):
    """A query with a name, shared in a resource group ("Graph Query" of the REST reference)."""

    type: ClassVar[str] = "Microsoft.ResourceGraph/queries"
    provisioning: ClassVar[bool] = False
    shape: ClassVar[Shape] = {"properties": {"query": str, "description": str}}

    async def prepare(self, call: Call, resource: JSON, old: JSON | None) -> JSON:
        """It needs a text; when it was changed, and of which kind it is, is the service's."""
        properties = resource["properties"]
        if not properties.get("query"):
            raise ArmError(
                "BadRequest", "A saved query needs 'properties.query'.", target="properties.query"
            )
        properties["timeModified"] = iso(call.arm.clock.time())
        properties["resultKind"] = "basic"
        resource.setdefault("location", "global")
        return resource


async def _resources(call: Call) -> Answer:
    body = call.object()
    check_shape(body, _SHAPE)
    query = body.get("query")
    if not isinstance(query, str) or not query.strip():
        raise _refused(call, ArmError("InvalidQuery", "The query must not be empty."))
    _check_scope(call, body)
    options = body.get("options") or {}
    form = _FORMATS.get(str(options.get("resultFormat") or "objectArray").lower())
    if form is None:
        raise _refused(
            call, ArmError("InvalidResultFormat", "'resultFormat' is 'table' or 'objectArray'.")
        )
    skip, top = _window(call, options)
    graph = Graph(partial(rows, call), call.arm.clock.now())
    try:
        page = await graph.ask(query, skip=skip, top=top)
    except QueryError as error:
        raise _refused(call, _INVALID, *_reasons(error)) from None
    found: JSON = {
        "totalRecords": page.total,
        "count": len(page.rows),
        "data": page.shown(form),
        "facets": [await _facet(graph, query, item, form) for item in body.get("facets") or ()],
        "resultTruncated": "false",
    }
    end = skip + len(page.rows)
    if end < page.total:
        # Only rows that can be told apart can be paged through.
        if any(name == "id" for name, _ in page.columns):
            found["$skipToken"] = _token(top, end)
        else:
            found["resultTruncated"] = "true"
    return found


# ------------------------------------------------------------------ what is asked for ----


def _check_scope(call: Call, body: JSON) -> None:
    """The subscriptions or management groups that are asked about; neither: the whole tenant.

    Raises:
        ArmError: 400; none of them is one that the caller may see.
    """
    arm = call.arm
    own = f"/subscriptions/{arm.subscription}"
    asked = [str(one) for one in body.get("subscriptions") or ()]
    groups = [str(one) for one in body.get("managementGroups") or ()]
    if wrong := [one for one in asked if not _GUID.fullmatch(one)]:
        message = f"The subscriptions '{', '.join(wrong)}' are no GUIDs."
        raise _refused(call, ArmError("SubscriptionsContainInvalidGuids", message))
    above = scopes_above(arm.store, arm.tenant, own.lower())
    known = (
        any(one.lower() == arm.subscription.lower() for one in asked)
        or any(parse(f"{_GROUPS}/{one}").key in above for one in groups)
        or not (asked or groups)
    )
    if not known or not visible(arm.access, call, own):
        given = ", ".join(asked or groups) or arm.subscription
        raise _refused(
            call,
            ArmError(
                "NoValidSubscriptionsInQueryRequest",
                "There must be at least one subscription that is eligible to contain resources. "
                f"Given: '{given}'.",
            ),
        )


def _window(call: Call, options: JSON) -> tuple[int, int]:
    """How many rows are skipped, and how many wanted; `$top` and `$skip` win over a token."""
    skip, top = 0, PAGE
    if token := options.get("$skipToken"):
        try:
            read = json.loads(base64.b64decode(token, validate=True))
            skip, top = int(read["RowsToSkip"]), int(read["MaxRows"])
        except (ValueError, TypeError, KeyError, OverflowError):
            raise _refused(
                call, ArmError("InvalidSkipToken", "The '$skipToken' is not one of this service.")
            ) from None
    found = []
    for name, value, least, most in (
        ("$skip", options.get("$skip"), 0, 2**31 - 1),
        ("$top", options.get("$top"), 1, PAGE),
    ):
        if value is not None and (
            not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most
        ):
            message = f"'{name}' must be a whole number from {least} to {most}, not '{value}'."
            raise _refused(call, ArmError("InvalidQueryOption", message))
        found.append(value)
    return found[0] if found[0] is not None else skip, found[1] or top


def _token(top: int, skip: int) -> str:
    return base64.b64encode(
        json.dumps({"$id": "1", "MaxRows": top, "RowsToSkip": skip}).encode()
    ).decode()


async def _facet(graph: Graph, query: str, asked: JSON, form: str) -> JSON:
    """How many rows of the answer have each value of an expression."""
    expression = str(asked.get("expression") or "")
    options = asked.get("options") or {}
    narrowed = f" | where {options['filter']}" if options.get("filter") else ""
    order = "asc" if str(options.get("sortOrder", "desc")).lower() == "asc" else "desc"
    by = options.get("sortBy") or "['count']"
    counted = f"summarize ['count'] = count() by {expression}"
    text = f"{query}{narrowed} | {counted} | order by {by} {order}"
    top = options.get("$top")
    try:
        page: Page = await graph.ask(text, top=top if isinstance(top, int) else FACET_ROWS)
    except QueryError as error:
        errors = [reason.inner() for reason in _reasons(error)]
        return {"expression": expression, "resultType": "FacetError", "errors": errors}
    return {
        "expression": expression,
        "resultType": "FacetResult",
        "totalRecords": page.total,
        "count": len(page.rows),
        "data": page.shown(form),
    }


# ----------------------------------------------------------------------------- refusals ----

_TABLE = re.compile(r"Failed to resolve table or column expression named '([^']+)'")
_FUNCTION = re.compile(r"Unknown function: '([^']+)'")


def _reasons(error: QueryError) -> list[ArmError]:
    """What is wrong with a query, in this service's words."""
    inner: JSON = error.error
    while "innererror" in inner:
        inner = inner["innererror"]
    message = str(inner["message"]).replace("local Log Analytics", "local Resource Graph")
    if inner["code"].startswith("SYN"):
        more = {
            "line": inner["line"],
            "characterPositionInLine": inner["pos"] - 1,
            "token": inner["token"] or "<EOF>",
        }
        # Where the service says the word alone, the reason is said, too.
        return [ArmError("ParserFailure", f"ParserFailure: {message}", more=more)]
    if found := _TABLE.search(message):
        words = f"Table {found[1]} is invalid, unsupported or disallowed."
        return [ArmError("DisallowedLogicalTableName", words)]
    if found := _FUNCTION.search(message):
        return [ArmError("UnknownFunction", f"Unknown function: '{found[1]}'.")]
    return [ArmError("InvalidQueryExpression", message)]


def _refused(call: Call, *reasons: ArmError) -> ArmError:
    return ArmError(
        "BadRequest",
        "Please provide below info when asking for support: timestamp = "
        f"{iso(call.arm.clock.time())}, correlationId = {call.correlation}.",
        details=reasons,
    )
