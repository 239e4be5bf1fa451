"""The properties of a message in HTTP: the JSON of `BrokerProperties`, and headers of its own.

https://learn.microsoft.com/rest/api/servicebus/message-headers-and-properties

A header that is none of HTTP's own is a custom property. Of what type, its value says: `true` and
`false` (in small letters) are booleans, numbers are long or double, a date of HTTP's form in double
quotes is a timestamp, any other text in double quotes is a JSON string. What is none of these is
a string as it stands; the page says that it is refused, and so did the service once. Since then it
takes "any header you send … apart from Content-Type, BrokerProperties, and a small set of names"
(https://github.com/Azure/azure-rest-api-specs/issues/27127), and gives strings back JSON-quoted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import Any
from uuid import UUID

from orchestrator.localcloud.amqp import types as t
from orchestrator.localcloud.messages_http.decimals import decimal_text
from orchestrator.localcloud.servicebus.limits import FOREVER

HEADER = "BrokerProperties"

RESERVED = frozenset(
    {
        "accept", "accept-charset", "accept-datetime", "accept-encoding", "accept-language",
        "accept-ranges", "age", "allow", "authorization", "brokerproperties", "cache-control",
        "connection", "content-encoding", "content-language", "content-length",
        "content-location", "content-md5", "content-range", "content-type", "cookie", "date",
        "etag", "expect", "expires", "forwarded", "from", "host", "http2-settings", "if-match",
        "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive",
        "last-modified", "location", "max-forwards", "origin", "pragma", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "range", "referer", "retry-after", "server",
        "servicebusauthorization", "servicebusdlqsupplementaryauthorization",
        "servicebussupplementaryauthorization", "set-cookie", "strict-transport-security", "te",
        "trailer", "transfer-encoding", "translate", "upgrade", "user-agent", "vary", "via",
        "warning", "www-authenticate", "x-ms-retrypolicy",
    }
)  # fmt: skip
"""Headers that HTTP or the service has a use for: no property comes from one or becomes one."""

# RFC 9110, 5.6.2: what a header may be called.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HTTP_DATE = re.compile(
    r"\s*(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} "
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} GMT\s*",
    re.ASCII,
)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
# .NET's TimeSpan: [d.]hh:mm[:ss[.fffffff]]
_SPAN = re.compile(r"(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?", re.ASCII)

_LONG = range(-(2**63), 2**63)
_TICKS = 10_000_000
_TIMESPAN = (t.Symbol("com.microsoft:timespan"), t.ULong(0x0000_0137_0000_0005))
"""How .NET's TimeSpan is described in AMQP (Microsoft.Azure.Amqp); its value is in ticks."""


class PropertyError(ValueError):
    """A property that cannot be had from what was sent; the text says which."""


@dataclass(frozen=True, slots=True)
class BrokerProperties:
    """What a sender may set. ttl: seconds, None for none or for ever. scheduled_at: epoch
    seconds. Missing ones are None."""

    message_id: str | None = None
    correlation_id: str | None = None
    label: str | None = None
    session_id: str | None = None
    partition_key: str | None = None
    via_partition_key: str | None = None
    reply_to: str | None = None
    reply_to_session_id: str | None = None
    to: str | None = None
    ttl: float | None = None
    scheduled_at: float | None = None


def broker_properties_header(text: str | None) -> BrokerProperties:
    """Those in the header; None: there is no such header. Raises PropertyError."""
    if text is None:
        return BrokerProperties()
    try:
        return broker_properties(json.loads(readable(text)))
    except (PropertyError, ValueError, RecursionError) as error:
        detail = f" {error}" if isinstance(error, PropertyError) else ""
        raise PropertyError(
            f"The value '{readable(text)}' of the HTTP header '{HEADER}' is invalid.{detail}"
        ) from error


def broker_properties(given: object) -> BrokerProperties:
    """Those of a JSON object; unknown ones, and those that only the service sets, are ignored.

    Raises PropertyError.
    """
    if not isinstance(given, dict):
        raise PropertyError("It must be a JSON object.")
    session_id = _text(given, "SessionId")
    partition_key = _text(given, "PartitionKey")
    if session_id is not None and partition_key is not None and session_id != partition_key:
        raise PropertyError("SessionId and PartitionKey must have the same value if both are set.")
    return BrokerProperties(
        message_id=_text(given, "MessageId"),
        correlation_id=_text(given, "CorrelationId"),
        label=_text(given, "Label"),
        session_id=session_id,
        partition_key=partition_key,
        via_partition_key=_text(given, "ViaPartitionKey"),
        reply_to=_text(given, "ReplyTo"),
        reply_to_session_id=_text(given, "ReplyToSessionId"),
        to=_text(given, "To"),
        ttl=_time_to_live(given),
        scheduled_at=_moment(given, "ScheduledEnqueueTimeUtc"),
    )


def _text(given: Mapping[str, object], name: str) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return _encodable(name, str(value))
    raise PropertyError(f"{name} must be a string.")


def _encodable(name: str, text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PropertyError(f"{name} has half of a surrogate pair in it.") from None
    return text


def _time_to_live(given: Mapping[str, object]) -> float | None:
    span = given.get("TimeToLiveTimeSpan")
    if span is not None:
        seconds = _span(span)
    else:
        value = given.get("TimeToLive")
        if value is None:
            return None
        seconds = _number(value)
    if seconds is None or not seconds > 0:
        raise PropertyError(
            "TimeToLive must be a positive number of seconds, or TimeToLiveTimeSpan a time span "
            "such as 0.00:00:40."
        )
    return None if seconds >= FOREVER else seconds


def _number(value: object) -> float | None:
    if isinstance(value, str):
        value = float(value) if _NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    # An integer may be more than a float can hold, either way.
    return float(max(-1, min(value, FOREVER)))


def _span(value: object) -> float | None:
    found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return None
    days, hours, minutes, seconds, fraction = found.groups(default="0")
    if int(hours) > 23 or int(minutes) > 59 or int(seconds) > 59:
        return None
    whole = ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + int(seconds)
    return whole + int(fraction.ljust(7, "0")) / _TICKS


def _moment(given: Mapping[str, object], name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    found = None
    if isinstance(value, str):
        found = _http_date(value)
        if found is None:
            try:
                moment = datetime.fromisoformat(value.strip())
                found = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            except (ValueError, OverflowError):
                found = None
    if found is None:
        raise PropertyError(
            f"{name} must be a date such as 'Sun, 06 Nov 1994 08:49:37 GMT' or "
            "'1994-11-06T08:49:37Z'."
        )
    return found


def _http_date(text: str) -> float | None:
    if not _HTTP_DATE.fullmatch(text):
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def http_date(moment: float) -> str:
    """Epoch seconds as HTTP writes a moment, in whole seconds."""
    return formatdate(moment, usegmt=True)


# Custom properties


def custom_properties(headers: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The application properties in a request's headers; of a name given twice the values are one,
    with a comma between, as HTTP has it. Raises PropertyError."""
    found: dict[str, tuple[str, str]] = {}
    for name, value in headers:
        folded = name.lower()
        if folded in RESERVED:
            continue
        first = found.get(folded)
        text = readable(value)
        found[folded] = (name, text) if first is None else (first[0], f"{first[1]}, {text}")
    return {name: _encoded(name, header_value(text)) for name, text in found.values()}


def _encoded(name: str, value: Any) -> Any:
    return _encodable(name, value) if isinstance(value, str) else value


def header_value(text: str) -> Any:
    """The value that a header's text stands for."""
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        moment = _http_date(text[1:-1])
        if moment is not None:
            return t.Timestamp(round(moment * 1000))
        try:
            value = json.loads(text, strict=False)
        except ValueError:
            return text
        return value if isinstance(value, str) else text
    if _INTEGER.fullmatch(text) and int(text) in _LONG:
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def user_properties(given: object) -> dict[str, Any]:
    """The application properties in a batch's JSON. Raises PropertyError."""
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise PropertyError("UserProperties must be a JSON object.")
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if not isinstance(value, str | bool | int | float):
            raise PropertyError(f"The user property '{name}' must be a string, number or boolean.")
        _encodable("The name of a user property", name)
        found[name] = _encoded(name, _in_range(name, value))
    return found


def _in_range(name: str, value: str | bool | int | float) -> str | bool | int | float:
    """A whole number beyond 64 bits becomes one with a fraction, as JSON has only numbers."""
    if isinstance(value, bool) or not isinstance(value, int) or value in _LONG:
        return value
    try:
        return float(value)
    except OverflowError:
        raise PropertyError(f"The user property '{name}' is too large a number.") from None


def property_headers(properties: Mapping[Any, Any]) -> dict[str, str]:
    """Application properties as headers; left out is what HTTP cannot have: names that are no
    header's or are HTTP's own, and values without a text form."""
    headers: dict[str, str] = {}
    for name, value in properties.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name) or name.lower() in RESERVED:
            continue
        text = header_text(value)
        if text is not None:
            headers[str(name)] = text
    return headers


def header_text(value: Any) -> str | None:
    """A property's value in a header; None for what has no such form: null, binary, lists, maps,
    and .NET's Uri and DateTimeOffset ("not supported … not included in the HTTP headers")."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, t.Timestamp):
        try:
            return f'"{http_date(value / 1000)}"'
        except (ValueError, OverflowError):
            return None
    if isinstance(value, t.Decimal32 | t.Decimal64 | t.Decimal128):
        return decimal_text(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, UUID):
        return f'"{value}"'
    if isinstance(value, str):
        return json_text(str(value))
    if isinstance(value, t.Described) and value.descriptor in _TIMESPAN:
        # "TimeSpan types are converted to total seconds".
        return _double(value.value / _TICKS) if isinstance(value.value, int) else None
    return None


def json_text(value: Any) -> str:
    """JSON as a header may have it: also the one control character that JSON leaves as it is."""
    return json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f")


def _double(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(float(value))


def readable(text: str) -> str:
    """A header's text. Its bytes are taken for UTF-8; where they are not that, for Latin-1."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return text.encode("utf-8", "surrogateescape").decode("latin-1")
        except UnicodeEncodeError:
            return text
    return text
