"""Functions of IPv4 addresses and ranges; https://learn.microsoft.com/kusto/query/ and the name.

An address is a text `192.168.1.7`, or with the length of its network's prefix behind a slash.
"""

from __future__ import annotations

from orchestrator.localcloud.logs.kql.functions.pieces import bound, let

_SHAPE = r"[0-9]{{1,3}}([.][0-9]{{1,3}}){{3}}(/[0-9]{{1,2}})?"


def _number(address: str) -> str:
    """SQL for the number of an address, its prefix left out; NULL if it is none."""
    parts = f"list_transform(string_split(split_part({address}, '/', 1), '.'), "
    return (
        f"CASE WHEN regexp_full_match({address}, '{_SHAPE}') THEN "
        + let(
            f"{parts}lambda _o: CAST(_o AS BIGINT))",
            "_o",
            "CASE WHEN list_max(_o) < 256 THEN "
            "_o[1] * 16777216 + _o[2] * 65536 + _o[3] * 256 + _o[4] END",
        )
        + " END"
    )


def _prefix(address: str) -> str:
    """SQL for the length of an address's prefix; 32 without one, NULL beyond."""
    length = f"coalesce(TRY_CAST(nullif(split_part({address}, '/', 2), '') AS BIGINT), 32)"
    return f"CASE WHEN {length} <= 32 THEN {length} END"


def _network(number: str, prefix: str) -> str:
    """SQL for the first address of a number's network."""
    size = f"CAST(pow(2, 32 - {prefix}) AS BIGINT)"
    return f"({number} // {size} * {size})"


def _compared(count: int, result: str) -> str:
    """SQL for what `_x` and `_y` give: the networks of two addresses by the shorter prefix."""
    given = "coalesce(CAST(_p.c AS BIGINT), 32)" if count > 2 else "32"
    prefix = (
        f"CASE WHEN {given} BETWEEN 0 AND 32 AND {_prefix('_p.a')} IS NOT NULL "
        f"AND {_prefix('_p.b')} IS NOT NULL "
        f"THEN least({given}, {_prefix('_p.a')}, {_prefix('_p.b')}) END"
    )
    left, right = (_network(_number(f"_p.{side}"), "_m") for side in "ab")
    return bound(count, let(prefix, "_m", let(left, "_x", let(right, "_y", result))))


_SIGN = "CASE WHEN _x < _y THEN -1 WHEN _x > _y THEN 1 WHEN _x = _y THEN 0 END"


def _within(address: str, network: str) -> str:
    prefix = _prefix(network)
    return f"({_network(_number(address), prefix)} = {_network(_number(network), prefix)})"


def _listed(argument: str) -> str:
    """SQL for the texts of an array, or of one text."""
    return (
        f"CASE WHEN json_type(to_json({argument})) = 'ARRAY' "
        f"THEN TRY_CAST(to_json({argument}) AS VARCHAR[]) "
        f"ELSE [to_json({argument}) ->> '$'] END"
    )


# The valid addresses of a text, which stand between signs that are neither letters nor digits.
_FOUND = (
    "list_filter(regexp_extract_all(regexp_replace(_p.a, '([^0-9A-Za-z.])', '\\1\\1', 'g'), "
    "'(?:^|[^0-9A-Za-z.])([0-9]{{1,3}}(?:[.][0-9]{{1,3}}){{3}})(?:$|[.]?[^0-9A-Za-z.]|[.]$)', 1), "
    f"lambda _f: {_number('_f')} IS NOT NULL)"
)
_PREFIX_SHAPE = r"([0-9]{{1,3}}[.]){{1,3}}|[0-9]{{1,3}}([.][0-9]{{1,3}}){{3}}"


def _in_text(wanted: str, *, prefixes: bool) -> str:
    match = (
        f"CASE WHEN ends_with(_w, '.') THEN starts_with(_f, _w) ELSE _f = _w END "
        f"AND regexp_full_match(_w, '{_PREFIX_SHAPE}')"
        if prefixes
        else "_f = _w"
    )
    return bound(
        2,
        f"len(list_filter({_FOUND}, lambda _f: "
        f"len(list_filter({wanted}, lambda _w: {match})) > 0)) > 0",
    )


_PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


def _private() -> str:
    inside = " OR ".join(
        f"({_within('_p.a', repr(network))} AND {_prefix('_p.a')} >= {network.split('/')[1]})"
        for network in _PRIVATE
    )
    return bound(1, f"({inside})")


def _formatted(count: int, *, mask: bool) -> str:
    """SQL for an address's network, with its prefix if `mask`; "" for what is none."""
    text = "CAST(_p.a AS VARCHAR)"
    number = (
        f"CASE WHEN regexp_full_match({text}, '[0-9]+') THEN TRY_CAST({text} AS BIGINT) "
        f"ELSE {_number(text)} END"
    )
    given = "CAST(_p.b AS BIGINT)" if count > 1 else "32"
    prefix = f"CASE WHEN {given} BETWEEN 0 AND 32 THEN least({given}, {_prefix(text)}) END"
    shown = "concat_ws('.', _x // 16777216 % 256, _x // 65536 % 256, _x // 256 % 256, _x % 256)" + (
        " || '/' || CAST(_m AS VARCHAR)" if mask else ""
    )
    body = let(
        prefix, "_m", let(_network(number, "_m"), "_x", f"CASE WHEN _x >= 0 THEN {shown} END")
    )
    return f"coalesce({bound(count, body)}, '')"


_ANY_RANGE = bound(
    2,
    "list_bool_or(list_transform(" + _listed("_p.b") + f", lambda _w: {_within('_p.a', '_w')}))",
)
_ANY_ADDRESS = _in_text(_listed("_p.b"), prefixes=False)
_ANY_PREFIX = _in_text(_listed("_p.b"), prefixes=True)


def _bits(address: str) -> str:
    """SQL for the 128 signs of an IPv6 address as `parse_ipv6` writes it."""
    return (
        f"array_to_string(list_transform(string_split(replace({address}, ':', ''), ''), "
        "lambda _h: lpad(bin(CAST('0x' || _h AS BIGINT)), 4, '0')), '')"
    )


def _long_prefix(address: str) -> str:
    """SQL for the prefix of an IPv6 address, or of an IPv4 address seen as one."""
    length = f"TRY_CAST(nullif(split_part({address}, '/', 2), '') AS BIGINT)"
    wide = f"CASE WHEN contains({address}, ':') THEN 0 ELSE 96 END"
    return f"coalesce({length} + ({wide}), 128)"


def _long_compared(result: str) -> str:
    """Of two addresses as `parse_ipv6` writes them, both as they were given, and a prefix."""
    prefix = (
        f"least(coalesce(CAST(_p.e AS BIGINT) + CASE WHEN contains(_p.b, ':') "
        f"OR contains(_p.d, ':') THEN 0 ELSE 96 END, 128), "
        f"{_long_prefix('_p.b')}, {_long_prefix('_p.d')})"
    )
    left, right = (f"left({_bits(f'_p.{side}')}, CAST(_m AS BIGINT))" for side in "ac")
    known = "_p.a <> '' AND _p.c <> ''"
    compared = let(prefix, "_m", let(left, "_x", let(right, "_y", result)))
    return bound(5, f"CASE WHEN {known} THEN {compared} END")


_LONG_RANGE = (
    f"left({_bits('_p.a')}, CAST({_long_prefix('_p.d')} AS BIGINT)) = "
    f"left({_bits('_p.c')}, CAST({_long_prefix('_p.d')} AS BIGINT))"
)

SCALARS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("parse_ipv4_mask", bound(2, _network(_number("_p.a"), "CAST(_p.b AS BIGINT)")), (2,)),
    ("ipv4_compare", _compared(2, _SIGN), (2,)),
    ("ipv4_compare", _compared(3, _SIGN), (3,)),
    ("ipv4_is_match", _compared(2, "_x = _y"), (2,)),
    ("ipv4_is_match", _compared(3, "_x = _y"), (3,)),
    ("ipv4_is_in_range", bound(2, _within("_p.a", "_p.b")), (2,)),
    ("ipv4_is_in_any_range", _ANY_RANGE, (2,)),
    ("ipv4_is_private", _private(), (1,)),
    (
        "ipv4_netmask_suffix",
        bound(1, f"CASE WHEN {_number('_p.a')} IS NOT NULL THEN {_prefix('_p.a')} END"),
        (1,),
    ),
    ("format_ipv4", _formatted(1, mask=False), (1,)),
    ("format_ipv4", _formatted(2, mask=False), (2,)),
    ("format_ipv4_mask", _formatted(1, mask=True), (1,)),
    ("format_ipv4_mask", _formatted(2, mask=True), (2,)),
    ("has_ipv4", _ANY_ADDRESS, (2,)),
    ("has_any_ipv4", _ANY_ADDRESS, (2,)),
    ("has_ipv4_prefix", _ANY_PREFIX, (2,)),
    ("has_any_ipv4_prefix", _ANY_PREFIX, (2,)),
    ("__local_ipv6_compare", _long_compared(_SIGN), (5,)),
    ("__local_ipv6_is_match", _long_compared("_x = _y"), (5,)),
    (
        "__local_ipv6_is_in_range",
        bound(5, f"CASE WHEN _p.a <> '' AND _p.c <> '' THEN {_LONG_RANGE} END"),
        (5,),
    ),
)
