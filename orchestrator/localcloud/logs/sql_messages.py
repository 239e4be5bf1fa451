"""What DuckDB finds wrong in the SQL of a query, as a statement about the query."""

from __future__ import annotations

import re

_TYPES = {
    "VARCHAR": "string", "BIGINT": "long", "INTEGER": "int", "DOUBLE": "real", "BOOLEAN": "bool",
    "TIMESTAMP WITH TIME ZONE": "datetime", "TIMESTAMP": "datetime", "INTERVAL": "timespan",
    "UUID": "guid", "JSON": "dynamic", "STRING_LITERAL": "string", "INTEGER_LITERAL": "long",
    "INT64": "long", "INT32": "int",
}  # fmt: skip
_TYPE = re.compile(r"\b(" + "|".join(_TYPES) + r")\b")

# Functions of DuckDB by what in KQL comes to call them.
_FUNCTIONS = {
    "regexp_matches": "'has', 'matches regex' or the like",
    "replace": "'contains', 'startswith' or the like",
    "regexp_extract": "extract()", "regexp_extract_all": "extract_all()",
    "regexp_replace": "replace_regex()", "str_split": "split()", "string_split": "split()",
    "length": "strlen()", "lower": "tolower()", "upper": "toupper()", "stddev_samp": "stdev()",
    "stddev_pop": "stdevp()", "var_samp": "variance()", "var_pop": "variancep()",
    "time_bucket": "bin_at()", "quantile_disc": "percentile()", "json_array_length":
    "array_length()", "list_sum": "array_sum()", "generate_series": "range()", "concat": "strcat()",
    "instr": "indexof()", "array_slice": "substring()", "substring": "substring()",
}  # fmt: skip

_CALL = re.compile(
    r"(?:No function matches the given name and argument types '|"
    r"Could not choose a best candidate function for the function call \")"
    r"(?P<name>[^(]+)\((?P<types>[^)]*)\)"
)
_MIXED = re.compile(
    r"Cannot (?P<what>mix|compare) values of type (?P<one>[a-zA-Z_]+)(?:\([\d,]+\))? "
    r"(?:and|with)(?: values of)?(?: type)? (?P<other>[a-zA-Z_]+)"
)
_CAST = re.compile(r"Unimplemented type for cast \((?P<one>[^>]+) -> (?P<other>[^)]+)\)")
_NO_TIME = re.compile(r"invalid timestamp field format: \"(?P<text>[^\"]*)\"")
_NO_CAST = re.compile(r"Could not convert (?:string )?'(?P<text>[^']*)' to (?P<type>\w+)")
_PATTERN = re.compile(r"^(?:missing|invalid|no argument|unexpected|bad) [^:]+: ")


def in_words(message: str) -> str:
    """DuckDB's message in the words of KQL; itself, its types renamed, where it is of another kind.

    Args:
        message: Without DuckDB's picture of the SQL.
    """
    message = message.partition(" Candidate ")[0].partition(" You might need ")[0]
    message = _TYPE.sub(lambda found: _TYPES[found[0]], message).rstrip(". ")
    if call := _CALL.search(message):
        name = call["name"].strip()
        what = _FUNCTIONS.get(name, f"'{name}'" if not name.isidentifier() else f"{name}()")
        types = [one.strip() for one in call["types"].split(",")]
        if len(types) == 1:
            return f"{what} does not take a {types[0]}; convert it"
        listed = f"{', '.join(types[:-1])} and {types[-1]}"
        return f"{what} does not take values of the types {listed}; convert one of them"
    if mixed := _MIXED.search(message):
        how = "be compared" if mixed["what"] == "compare" else "stand for one another"
        return (
            f"Values of the types {mixed['one']} and {mixed['other']} cannot {how}; "
            "convert one of them"
        )
    if cast := _CAST.search(message):
        return f"A {cast['one'].lower()} cannot be used as a {cast['other'].lower()}"
    if time := _NO_TIME.search(message):
        return f"'{time['text']}' is no datetime; write it as datetime(2026-11-24 06:00)"
    if value := _NO_CAST.search(message):
        return f"'{value['text']}' is no {value['type'].lower()}"
    if _PATTERN.search(message):
        return f"A regular expression is not right: {message}"
    if "Malformed dynamic" in message:
        return "A string that is no JSON stands where a dynamic is expected; see parse_json()"
    return message
