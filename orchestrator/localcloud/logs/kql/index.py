"""`bag[name]` where the name is a column: duckdb-kql takes what the brackets hold for a number.

In Kusto a text there names a member, a number a place ("The dynamic data type").
"""

from __future__ import annotations

import re

_NAME = r'"(?:[^"]|"")+"'
_PLACE = re.compile(
    rf"'\$\[' \|\| CASE WHEN (?P<key>{_NAME}) < 0 THEN '#' \|\| CAST\((?P=key) AS VARCHAR\) "
    r"ELSE CAST\((?P=key) AS VARCHAR\) END \|\| '\]'"
)


def by_name_too(sql: str) -> str:
    """The SQL of a query in which such an index may be a text; the same text if there is none."""
    return _PLACE.sub(_path, sql)


def _path(found: re.Match[str]) -> str:
    key = f"to_json({found['key']})"
    text = f"({key} ->> '$')"
    return (
        f"CASE WHEN json_type({key}) = 'VARCHAR' "
        f"""THEN '$."' || replace({text}, '"', '\\"') || '"' """
        f"WHEN starts_with({text}, '-') THEN '$[#' || {text} || ']' "
        f"ELSE '$[' || {text} || ']' END"
    )
