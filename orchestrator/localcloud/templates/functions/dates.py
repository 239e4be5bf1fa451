"""Date functions ("Date functions for ARM templates"), with .NET's date formats.

`utcNow` (and `newGuid`) are for default values of parameters only; what they answer comes from the
evaluation's clock, so that a deployment that is taken up again finds what it had.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from orchestrator.localcloud.templates.errors import ExpressionError
from orchestrator.localcloud.templates.functions.registry import integer, plain, special, text

if TYPE_CHECKING:
    from orchestrator.localcloud.templates.evaluation import Evaluation
    from orchestrator.localcloud.templates.expressions import Node

_STANDARD = {
    "d": "MM/dd/yyyy",
    "D": "dddd, dd MMMM yyyy",
    "f": "dddd, dd MMMM yyyy HH:mm",
    "F": "dddd, dd MMMM yyyy HH:mm:ss",
    "g": "MM/dd/yyyy HH:mm",
    "G": "MM/dd/yyyy HH:mm:ss",
    "m": "MMMM dd",
    "M": "MMMM dd",
    "o": "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK",
    "O": "yyyy'-'MM'-'dd'T'HH':'mm':'ss'.'fffffffK",
    "r": "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'",
    "R": "ddd, dd MMM yyyy HH':'mm':'ss 'GMT'",
    "s": "yyyy'-'MM'-'dd'T'HH':'mm':'ss",
    "t": "HH:mm",
    "T": "HH:mm:ss",
    "u": "yyyy'-'MM'-'dd HH':'mm':'ss'Z'",
    "U": "dddd, dd MMMM yyyy HH:mm:ss",
    "y": "yyyy MMMM",
    "Y": "yyyy MMMM",
}

_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
_MONTHS = [
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
]

_PIECE = re.compile(
    r"'[^']*'|\"[^\"]*\"|\\.|%|d{1,4}|M{1,4}|y{1,5}|H{1,2}|h{1,2}|m{1,2}|s{1,2}|f{1,7}|F{1,7}"
    r"|t{1,2}|z{1,3}|K|.",
    re.DOTALL,
)


def formatted(moment: datetime, style: str) -> str:
    """A moment (UTC) in a .NET date format."""
    return "".join(_piece(moment, p) for p in _PIECE.findall(_STANDARD.get(style, style)))


def _piece(moment: datetime, piece: str) -> str:
    if piece[0] in "'\"":
        return piece[1:-1]
    if piece[0] == "\\":
        return piece[1:]
    count = len(piece)
    number = {
        "H": moment.hour,
        "h": moment.hour % 12 or 12,
        "m": moment.minute,
        "s": moment.second,
    }.get(piece[0])
    if number is not None:
        return str(number).rjust(count, "0")
    match piece[0]:
        case "%":
            return ""
        case "d":
            name = _DAYS[moment.weekday()]
            return (
                str(moment.day).rjust(count, "0")
                if count < 3
                else name[: 3 if count == 3 else None]
            )
        case "M":
            name = _MONTHS[moment.month - 1]
            if count < 3:
                return str(moment.month).rjust(count, "0")
            return name[: 3 if count == 3 else None]
        case "y":
            return str(moment.year % 100 if count < 3 else moment.year).rjust(count, "0")
        case "f":
            return f"{moment.microsecond:06d}0"[:count]
        case "F":
            return f"{moment.microsecond:06d}0"[:count].rstrip("0")
        case "t":
            return ("AM" if moment.hour < 12 else "PM")[:count]
        case "z":
            return ("+0", "+00", "+00:00")[count - 1]
        case "K":
            return "Z"
    return piece


_FORMS = (
    re.compile(
        r"(?P<Y>\d{4})-(?P<M>\d\d?)-(?P<D>\d\d?)"
        r"(?:[T ](?P<h>\d\d?):(?P<m>\d\d)(?::(?P<s>\d\d)(?:[.,](?P<f>\d+))?)?)?"
        r"\s*(?P<z>Z|[-+]\d\d:?\d\d)?",
        re.IGNORECASE,
    ),
    re.compile(
        r"(?P<Y>\d{4})(?P<M>\d\d)(?P<D>\d\d)(?:T(?P<h>\d\d)(?P<m>\d\d)(?P<s>\d\d))?(?P<z>Z)?"
    ),
    re.compile(
        r"(?P<M>\d\d?)/(?P<D>\d\d?)/(?P<Y>\d{4})"
        r"(?: (?P<h>\d\d?):(?P<m>\d\d)(?::(?P<s>\d\d))?(?: (?P<p>AM|PM))?)?"
        r"\s*(?P<z>Z|[-+]\d\d:\d\d)?",
        re.IGNORECASE,
    ),
)


def moment_of(function: str, value: str) -> datetime:
    """A moment from a text in ISO 8601 or as .NET writes it. Raises ExpressionError."""
    for form in _FORMS:
        match = form.fullmatch(value.strip())
        if match is None:
            continue
        part = {k: v for k, v in match.groupdict().items() if v is not None}
        hour = int(part.get("h", 0))
        if "p" in part:
            hour = hour % 12 + (12 if part["p"].upper() == "PM" else 0)
        try:
            moment = datetime(
                int(part["Y"]),
                int(part["M"]),
                int(part["D"]),
                hour,
                int(part.get("m", 0)),
                int(part.get("s", 0)),
                int(part.get("f", "0")[:6].ljust(6, "0")),
                UTC,
            )
        except ValueError:
            break
        zone = part.get("z", "Z")
        if zone.upper() != "Z":
            away = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
            moment += away if zone[0] == "-" else -away
        return moment
    raise ExpressionError(
        f"The template language function '{function}' cannot read '{value}' as a date and time."
    )


_BASIC = re.compile(r"\d{8}T\d{6}Z")
_DURATION = re.compile(
    r"(?P<sign>-?)P(?:(?P<Y>\d+)Y)?(?:(?P<M>\d+)M)?(?:(?P<W>\d+)W)?(?:(?P<D>\d+)D)?"
    r"(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)


def moved(moment: datetime, duration: str) -> datetime:
    """A moment moved by an ISO 8601 duration. Raises ExpressionError."""
    match = _DURATION.fullmatch(duration.strip())
    if match is None or not any(v for k, v in match.groupdict().items() if k != "sign"):
        raise ExpressionError(
            f"The template language function 'dateTimeAdd' cannot read '{duration}' as an ISO 8601 "
            "duration."
        )
    part = {k: float(v) if v else 0.0 for k, v in match.groupdict().items() if k != "sign"}
    sign = -1 if match.group("sign") else 1
    months = moment.year * 12 + moment.month - 1 + sign * int(part["Y"] * 12 + part["M"])
    year, month = divmod(months, 12)
    span = timedelta(
        weeks=part["W"], days=part["D"], hours=part["h"], minutes=part["m"], seconds=part["s"]
    )
    try:
        last = calendar.monthrange(year, month + 1)[1]
        moment = moment.replace(year=year, month=month + 1, day=min(moment.day, last))
        return moment + sign * span
    except (ValueError, OverflowError):
        raise ExpressionError(
            "The template language function 'dateTimeAdd' leaves the years that a date can have."
        ) from None


@special("utcNow", 0, 1)
def utc_now(evaluation: Evaluation, arguments: tuple[Node, ...]) -> str:
    """The present moment, in default values of parameters only."""
    if not evaluation.in_default:
        raise ExpressionError(
            "The template function 'utcNow' is not expected at this location. It may be used in "
            "the default value of a parameter only. Please see "
            "https://aka.ms/arm-template-expressions for usage details."
        )
    style = text("utcNow", evaluation.value(arguments[0])) if arguments else "yyyyMMddTHHmmssZ"
    return formatted(evaluation.environment.now, style)


@special("newGuid", 0)
def new_guid(evaluation: Evaluation, arguments: tuple[Node, ...]) -> str:
    """A guid that nobody else has, in default values of parameters only."""
    if not evaluation.in_default:
        raise ExpressionError(
            "The template function 'newGuid' is not expected at this location. It may be used in "
            "the default value of a parameter only. Please see "
            "https://aka.ms/arm-template-expressions for usage details."
        )
    return evaluation.environment.new_guid()


@plain("dateTimeAdd", 2, 3)
def date_time_add(base: Any, duration: Any, style: Any = None) -> str:
    """A date moved by a duration; without a format, an ISO 8601 base gives ISO 8601 again."""
    base = text("dateTimeAdd", base)
    moment = moved(moment_of("dateTimeAdd", base), text("dateTimeAdd", duration))
    if style is not None:
        return formatted(moment, text("dateTimeAdd", style))
    if _BASIC.fullmatch(base.strip()):
        return formatted(moment, "yyyyMMdd'T'HHmmss'Z'")
    if "T" in base.upper():
        return formatted(moment, "yyyy-MM-dd'T'HH:mm:ss'Z'")
    # any other form of the base: the documented examples show the American one
    return formatted(moment, "M/d/yyyy h:mm:ss tt")


@plain("dateTimeFromEpoch", 1)
def date_time_from_epoch(seconds: Any) -> str:
    """The ISO 8601 form of seconds since 1970."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        seconds=integer("dateTimeFromEpoch", seconds)
    )
    return formatted(moment, "yyyy-MM-dd'T'HH:mm:ss'Z'")


@plain("dateTimeToEpoch", 1)
def date_time_to_epoch(value: Any) -> int:
    """Seconds since 1970 of a date."""
    return int(moment_of("dateTimeToEpoch", text("dateTimeToEpoch", value)).timestamp())
