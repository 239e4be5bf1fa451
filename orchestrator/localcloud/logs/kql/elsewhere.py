"""Tables of other workspaces and resources: `workspace("name").T`, `resource("id").T`.

They become tables with names of their own, in place of what stands there and as long, so that every
position in the query stays what it is. Rules:
https://learn.microsoft.com/azure/azure-monitor/logs/cross-workspace-query.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.localcloud.logs.errors import semantic_error
from orchestrator.localcloud.logs.kql.syntax import tokens
from orchestrator.localcloud.logs.kql.tokens import text_of

KINDS = ("workspace", "resource", "app")
MAX_REFERENCES = 100
"""Most workspaces and resources in one query, as in the service."""

PREFIX = "__at"
_MENTIONED = re.compile(rf"\b(?:{'|'.join(KINDS)})\s*\(")


@dataclass(frozen=True)
class Reference:
    """A table that is not of the workspace that is asked.

    Attributes:
        kind: `workspace`, `resource` or `app`.
        name: How it is named: a name, a GUID, a resource id.
        table: The table's name there.
        alias: Its name in the query that is run.
        place: ` (line 1, position 5)`.
    """

    kind: str
    name: str
    table: str
    alias: str
    place: str

    @property
    def written(self) -> str:
        """As Kusto writes it: what `withsource` tells."""
        return f'{self.kind}("{self.name}").{self.table}'


def mentions(query: str) -> bool:
    """Whether there may be such tables; cheap, and true of some queries that have none."""
    return _MENTIONED.search(query) is not None


def referred(query: str) -> tuple[str, list[Reference]]:
    """The query with such tables under their aliases, and what they are.

    Raises:
        QueryError: 400; there are too many.
    """
    if not mentions(query):
        return query, []
    found = tokens(query)
    aliases: dict[tuple[str, str, str], Reference] = {}
    places: list[tuple[int, int, str]] = []
    for index, token in enumerate(found[:-5]):
        opened, name, closed, dot, table = found[index + 1 : index + 6]
        before = found[index - 1].text if index else ""
        if (
            token.text not in KINDS
            or before == "."
            or name.kind != "STRINGLITERAL"
            or (opened.text, closed.text, dot.text) != ("(", ")", ".")
        ):
            continue
        key = (token.text, text_of(name.text), table.text)
        if key not in aliases:
            alias = f"{PREFIX}{len(aliases)}_{table.text}"
            place = f" (line {token.line}, position {token.column})"
            aliases[key] = Reference(*key, alias, place)
        places.append((token.start, table.end, aliases[key].alias))
    if len({key[:2] for key in aliases}) > MAX_REFERENCES:
        raise semantic_error(
            "SEM0001", f"The query names more than {MAX_REFERENCES} workspaces and resources"
        )
    for start, end, alias in reversed(places):
        query = query[:start] + alias.ljust(end - start) + query[end:]
    return query, list(aliases.values())
