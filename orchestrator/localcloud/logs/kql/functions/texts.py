"""Functions of text; https://learn.microsoft.com/kusto/query/ and the function's name."""

from __future__ import annotations

from orchestrator.localcloud.logs.kql.functions.pieces import bound, items, let, text

# Kusto writes the digits of `%2f` small.
_ENCODED = (
    "array_to_string(list_transform(string_split(url_encode({0}), '%'), lambda _p, _i: "
    "CASE WHEN _i = 1 THEN _p ELSE lower(left(_p, 2)) || substr(_p, 3) END), '%')"
)


_UNITS = ("Bytes", "KB", "MB", "GB", "TB", "PB", "EB")


def _bytes(count: int) -> str:
    """SQL for a number of bytes in the unit given, or in the largest that it is one of."""
    sizes = [1024**n for n in range(len(_UNITS))]
    digits = "CAST(_p.b AS INTEGER)" if count > 1 else "0"

    def shown(unit: str, size: int) -> str:
        value = f"round(_p.a / {size}.0, {digits})"
        return (
            f"CASE WHEN {value} = floor({value}) THEN CAST(CAST({value} AS BIGINT) AS VARCHAR) "
            f"ELSE CAST({value} AS VARCHAR) END || ' {unit}'"
        )

    chosen = "".join(
        f" WHEN abs(_p.a) < {size * 1024} THEN {shown(unit, size)}"
        for unit, size in zip(_UNITS[:-1], sizes, strict=False)
    )
    sql = f"CASE{chosen} ELSE {shown(_UNITS[-1], sizes[-1])} END"
    if count > 2:
        asked = "".join(
            f" WHEN '{unit}' THEN {shown(unit, size)}"
            for unit, size in zip(_UNITS, sizes, strict=True)
        )
        sql = f"CASE _p.c{asked} ELSE {sql} END"
    return bound(count, sql)


def _found(count: int, *, regex: bool) -> str:
    """SQL for the place of a text in a text: from a place on, in a part of it, the n-th time."""
    start = "coalesce(CAST(_p.c AS BIGINT), 0)" if count > 2 else "0"
    length = "coalesce(CAST(_p.d AS BIGINT), -1)" if count > 3 else "-1"
    nth = "coalesce(CAST(_p.e AS BIGINT), 1)" if count > 4 else "1"
    first = f"(CASE WHEN {start} < 0 THEN greatest(length(_s) + {start}, 0) ELSE {start} END)"
    part = f"substr(_s, {first} + 1, CASE WHEN {length} < 0 THEN length(_s) ELSE {length} END)"
    pattern = "_p.b" if regex else "regexp_escape(CAST(_p.b AS VARCHAR))"
    # A match stands behind the texts before each of them and the matches before it.
    befores = f"regexp_extract_all({part}, '(?s)(.*?)(?:' || {pattern} || ')', 1)"
    matches = f"regexp_extract_all({part}, '(?s).*?(' || {pattern} || ')', 1)"
    place = (
        f"{first} + list_sum(list_transform(_b[1:{nth}], lambda _x: length(_x))) "
        f"+ coalesce(list_sum(list_transform(_m[1:{nth} - 1], lambda _x: length(_x))), 0)"
    )
    refused = [f"{nth} < 0", f"{length} < -1", *([f"{start} < 0"] if regex else [])]
    return bound(
        count,
        f"CASE WHEN {' OR '.join(refused)} THEN NULL ELSE "
        + let(
            "CAST(_p.a AS VARCHAR)",
            "_s",
            let(
                befores,
                "_b",
                let(
                    matches,
                    "_m",
                    f"CASE WHEN len(_b) < {nth} THEN -1 ELSE CAST({place} AS BIGINT) END",
                ),
            ),
        )
        + " END",
    )


# One record: fields bare or in quotes, doubled where they are meant.
_CSV = bound(
    1,
    "to_json(list_transform(regexp_extract_all("
    'regexp_extract(_p.a, \'^(?:"(?:[^"]|"")*"|[^\\r\\n"])*\') || \',\', '
    '\'("(?:[^"]|"")*"|[^,]*),\', 1), '
    "lambda _f: CASE WHEN starts_with(_f, '\"') "
    "THEN replace(substr(_f, 2, length(_f) - 2), '\"\"', '\"') ELSE _f END))",
)
_QUERY = bound(
    1,
    "json_object('Query Parameters', CAST('{{' || array_to_string(list_transform(list_filter("
    "string_split(ltrim(_p.a, '?'), '&'), lambda _q: _q <> ''), lambda _q: "
    "CAST(to_json(url_decode(split_part(_q, '=', 1))) AS VARCHAR) || ':' || "
    "CAST(to_json(url_decode(substr(_q, length(split_part(_q, '=', 1)) + 2))) AS VARCHAR)), ',') "
    "|| '}}' AS JSON))",
)


def _path() -> str:
    scheme = "regexp_extract(_p.a, '^([A-Za-z][A-Za-z0-9+.-]+)://', 1)"
    rest = "regexp_replace(_p.a, '^[A-Za-z][A-Za-z0-9+.-]+://', '')"
    stream = r"regexp_extract(_r, '^.*[\\/][^\\/]*:([^\\/:]*)$', 1)"
    plain = r"regexp_replace(_r, '(^.*[\\/][^\\/:]*):[^\\/:]*$', '\1')"
    directory = r"regexp_extract(_d, '^(.*)[\\/][^\\/]*$', 1)"
    name = r"regexp_extract(_d, '[^\\/]*$')"
    made = (
        "json_object('Scheme', _c, 'RootPath', "
        r"regexp_extract(_d, '^(?:[\\/]{{2}}[?][\\/])?([A-Za-z]:)', 1), 'DirectoryPath', "
        f"{directory}, 'DirectoryName', regexp_extract({directory}, '[^\\\\/]*$'), "
        f"'Filename', {name}, 'Extension', regexp_extract({name}, '[.]([^.]*)$', 1), "
        f"'AlternateDataStreamName', {stream})"
    )
    return bound(1, let(scheme, "_c", let(rest, "_r", let(plain, "_d", made))))


# In one pass over the text; of several lookups that are found at a place, the first.
_LOOKUPS = "array_to_string(list_transform(_l, lambda _x: regexp_escape(_x)), '|')"
_REPLACED = bound(
    3,
    let(
        f"list_transform({items('_p.b')}, lambda _x: _x ->> '$')",
        "_l",
        "array_to_string(list_transform(list_zip("
        f"regexp_extract_all(CAST(_p.a AS VARCHAR), '(?s)(.*?)(?:' || {_LOOKUPS} || '|$)', 1), "
        f"regexp_extract_all(CAST(_p.a AS VARCHAR), '(?s).*?(' || {_LOOKUPS} || '|$)', 1)), "
        "lambda _q: _q[1] || CASE WHEN _q[2] = '' THEN '' "
        "WHEN json_type(to_json(_p.c)) = 'ARRAY' THEN coalesce("
        f"{items('_p.c')}[list_position(_l, _q[2])] ->> '$', '') "
        "ELSE to_json(_p.c) ->> '$' END), '')",
    ),
)

# Of a negative number all sixteen digits, of an int's the eight that are asked for.
_HEX = bound(
    2,
    "CASE WHEN length(to_hex(CAST(_p.a AS BIGINT))) > 8 AND _p.a < 0 AND _p.b <= 8 "
    "AND _p.a >= -2147483648 THEN right(lower(to_hex(CAST(_p.a AS BIGINT))), 8) "
    "ELSE lpad(lower(to_hex(CAST(_p.a AS BIGINT))), "
    "CAST(greatest(_p.b, length(to_hex(CAST(_p.a AS BIGINT)))) AS INTEGER), '0') END",
)
_VERSION = (
    "list_transform([list_transform(string_split({0}, '.'), lambda _p: "
    "TRY_CAST(_p AS BIGINT))], lambda _v: CAST(_v[1] * 1000000000000000000000000 "
    "+ coalesce(_v[2], 0) * 10000000000000000 + coalesce(_v[3], 0) * 100000000 "
    "+ coalesce(_v[4], 0) AS DECIMAL(38, 0)))[1]"
)

# A text that is no JSON is a dynamic that holds it: https://learn.microsoft.com/kusto/query/
# parse-json-function. Bytes that are no UTF-8 are an empty text.
_PARSED = "coalesce(TRY_CAST({0} AS JSON), to_json(CAST({0} AS VARCHAR)))"
_DECODED = "coalesce(TRY(decode(from_base64({0}))), '')"

OWN: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    *((name, _PARSED, (1,)) for name in ("parse_json", "todynamic")),
    *((name, _DECODED, (1,)) for name in ("base64_decode_tostring", "base64_decodestring")),
)
"""In place of duckdb-kql's, whose answers for these are others."""

SCALARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("extract_json", f"json_extract_string({text('{1}')}, {{0}})", (2,)),
    ("extractjson", f"json_extract_string({text('{1}')}, {{0}})", (2,)),
    ("tohex", "lower(to_hex(CAST({0} AS BIGINT)))", (1,)),
    ("tohex", _HEX, (2,)),
    ("url_encode", f"replace({_ENCODED}, '%20', '+')", (1,)),
    ("url_encode_component", _ENCODED, (1,)),
    ("url_decode", "url_decode({0})", (1,)),
    # What the second text is too short for becomes its last character.
    (
        "translate",
        "translate({2}, {0}, rpad({1}, CAST(length({0}) AS INTEGER), right({1}, 1)))",
        (3,),
    ),
    ("strcmp", "(CASE WHEN {0} < {1} THEN -1 WHEN {0} > {1} THEN 1 ELSE 0 END)", (2,)),
    ("string_size", "CAST(octet_length(encode({0})) AS BIGINT)", (1,)),
    ("isascii", "(octet_length(encode({0})) = length({0}))", (1,)),
    ("isutf8", "({0} IS NOT NULL)", (1,)),
    *(("format_bytes", _bytes(count), (count,)) for count in (1, 2, 3)),
    *(("indexof", _found(count, regex=False), (count,)) for count in (3, 4, 5)),
    *(("indexof_regex", _found(count, regex=True), (count,)) for count in (2, 3, 4, 5)),
    ("replace_strings", _REPLACED, (3,)),
    ("regex_quote", "regexp_escape({0})", (1,)),
    (
        "split",
        bound(
            3,
            let(
                "string_split(_p.a, _p.b)",
                "_s",
                "to_json(CASE WHEN _p.c BETWEEN 0 AND len(_s) - 1 "
                "THEN [_s[CAST(_p.c + 1 AS BIGINT)]] ELSE [] END)",
            ),
        ),
        (3,),
    ),
    (
        "strrep",
        "array_to_string(list_transform(generate_series(1, CAST({1} AS BIGINT)), "
        "lambda _i: CAST({0} AS VARCHAR)), {2})",
        (3,),
    ),
    ("parse_csv", _CSV, (1,)),
    ("parse_urlquery", _QUERY, (1,)),
    ("parse_path", _path(), (1,)),
    ("parse_version", _VERSION, (1,)),
    (
        "base64_decode_toarray",
        bound(
            1,
            "to_json(list_transform(list_filter(string_split(regexp_replace("
            "hex(from_base64(_p.a)), '(..)', '\\1 ', 'g'), ' '), lambda _h: _h <> ''), "
            "lambda _h: CAST('0x' || _h AS BIGINT)))",
        ),
        (1,),
    ),
    (
        "unicode_codepoints_to_string",
        "array_to_string(list_transform(flatten(list_transform(TRY_CAST(to_json({0}) AS JSON[]), "
        "lambda _e: CASE WHEN json_type(_e) = 'ARRAY' THEN TRY_CAST(_e AS BIGINT[]) "
        "ELSE [CAST(_e AS BIGINT)] END)), lambda _c: chr(CAST(_c AS INTEGER))), '')",
        (1,),
    ),
    (
        "unicode_codepoints_from_string",
        "to_json(list_transform(list_filter(string_split({0}, ''), lambda _c: _c <> ''), "
        "lambda _c: unicode(_c)))",
        (1,),
    ),
)
