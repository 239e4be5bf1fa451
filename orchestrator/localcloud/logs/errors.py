"""Refused and failed queries, in the shapes of the Log Analytics API.

https://learn.microsoft.com/azure/azure-monitor/logs/api/errors. The client library shows the
message of the innermost `innererror`, so that is where the sentence for the person stands.
"""

from __future__ import annotations

import uuid
from typing import Any

_BAD_ARGUMENT = "BadArgumentError"
_BAD_ARGUMENT_MESSAGE = "The request had some invalid properties"


class QueryError(Exception):
    """A query that has no answer.

    Attributes:
        status: HTTP status.
        error: What stands under `error` in the answer, without the correlation id.
    """

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        inner = error
        while "innererror" in inner:
            inner = inner["innererror"]
        super().__init__(inner["message"])
        self.status = status
        self.error = error

    def body(self) -> dict[str, Any]:
        """`{"error": {"code", "message", "correlationId", "innererror"?}}`."""
        error = {key: value for key, value in self.error.items() if key != "innererror"}
        error["correlationId"] = str(uuid.uuid4())
        if "innererror" in self.error:
            error["innererror"] = self.error["innererror"]
        return {"error": error}


def _bad_argument(inner: dict[str, Any]) -> QueryError:
    return QueryError(
        400, {"code": _BAD_ARGUMENT, "message": _BAD_ARGUMENT_MESSAGE, "innererror": inner}
    )


def syntax_error(what: str, *, line: int, position: int, found: str) -> QueryError:
    """400 for a query that cannot be parsed.

    Args:
        what: What is wrong, or what was expected; follows the position in the message.
        line: Line of the fault, from 1.
        position: Its place in the line, from 1.
        found: The text found there; empty at the end of the query.
    """
    place = f"Query could not be parsed at '{found}' on line [{line},{position}]"
    return _bad_argument(
        {
            "code": "SyntaxError",
            "message": "A recognition error occurred in the query.",
            "innererror": {
                "code": "SYN0002",
                "message": f"{place}: {what}",
                "line": line,
                "pos": position,
                "token": found,
            },
        }
    )


def semantic_error(code: str, message: str) -> QueryError:
    """400 for a query that parses but means nothing here; `code` is Kusto's, such as SEM0100."""
    return _bad_argument(
        {
            "code": "SemanticError",
            "message": "A semantic error occurred.",
            "innererror": {"code": code, "message": message},
        }
    )


def invalid_property(name: str, message: str) -> QueryError:
    """400 for a property of the request other than the query text."""
    return _bad_argument({"code": "QueryValidationError", "message": message, "target": name})


def workspace_not_found(workspace: str) -> QueryError:
    """404 for a workspace id that is nobody's."""
    return QueryError(
        404,
        {
            "code": "PathNotFoundError",
            "message": "The requested path does not exist",
            "innererror": {
                "code": "WorkspaceNotFoundError",
                "message": f"The workspace '{workspace}' could not be found",
            },
        },
    )


def path_not_found(path: str) -> QueryError:
    """404 for a path that is no part of this API."""
    return QueryError(
        404, {"code": "PathNotFoundError", "message": f"The requested path {path} does not exist"}
    )


def timed_out(seconds: float) -> QueryError:
    """504, as the service answers a query that takes longer than `Prefer: wait`."""
    return QueryError(
        504,
        {
            "code": "GatewayTimeout",
            "message": "Gateway timeout",
            "innererror": {
                "code": "GatewayTimeout",
                "message": f"The query did not finish within {seconds:g} s and was cancelled",
            },
        },
    )


def throttled(waiting: int) -> QueryError:
    """429 when too many queries already wait."""
    return QueryError(
        429,
        {
            "code": "ThrottledError",
            "message": f"Too many queries: {waiting} are already waiting. Try again in a moment.",
        },
    )


def unavailable(message: str) -> QueryError:
    """503 when the log file cannot be read; `message` says why and what to do."""
    return QueryError(503, {"code": "ServiceUnavailable", "message": message})


def out_of_memory(message: str) -> QueryError:
    """400 for a query that needs more memory than it is given."""
    return _bad_argument(
        {
            "code": "QueryExecutionError",
            "message": "The query needs more memory than is allowed (E_LOW_MEMORY_CONDITION). "
            f"Narrow its time range or summarize earlier. {message}",
        }
    )


def execution_failed(message: str) -> QueryError:
    """400 for a query that parses and binds but fails while it runs."""
    return _bad_argument({"code": "QueryExecutionError", "message": message})


def partial_error(message: str) -> dict[str, Any]:
    """What stands under `error` in a 200 answer that does not hold every row."""
    return {
        "code": "PartialError",
        "message": "There were some errors when processing your query.",
        "details": [
            {
                "code": "EngineError",
                "message": "Something went wrong processing your query on the server.",
                "innererror": {
                    "code": "-2133196797",
                    "message": message,
                    "severity": 2,
                    "severityName": "Error",
                },
            }
        ],
        # The client library shows the innermost message.
        "innererror": {"code": "E_QUERY_RESULT_SET_TOO_LARGE", "message": message},
    }
