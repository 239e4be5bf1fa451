"""What a test leaves open is blamed on the module that did, and not on whatever runs next.

A socket that nobody closed is noticed when the garbage collector comes by, which is in some test
or other; warnings being errors, that one fails. So each module is followed by a collection of its
own.
"""

from __future__ import annotations

import gc
import tracemalloc
import warnings
from typing import Any


def left_open() -> list[str]:
    """Collect what is garbage now; what of it should have been closed first.

    Other warnings of the collection are treated as the filters in force say. Run Python with
    `-X tracemalloc=20` to be told where each was opened.
    """
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    return [_told(one) for one in said]


def _told(warning: warnings.WarningMessage) -> str:
    told = str(warning.message)
    opened = None
    if warning.source is not None and tracemalloc.is_tracing():
        opened = tracemalloc.get_object_traceback(warning.source)
    return "\n  ".join([told, *(opened.format() if opened else ())])


def close_what_azure_servicebus_does_not() -> None:
    """Close the socket of each of its connections that failed.

    As of 7.15 the synchronous `Connection` has two ways to lose one. `close()` of a connection that
    met an error sets the state END and leaves the rest to `_disconnect()`, which does nothing in
    that state. And where the very handshake fails, `AMQPClient.close()` sees no session, so that
    there were nothing to close. Its transport knows how to be closed twice.
    """
    from azure.servicebus._pyamqp._connection import Connection

    opening, closing = Connection.open, Connection.close

    def open_(connection: Any, *arguments: Any, **options: Any) -> None:
        try:
            opening(connection, *arguments, **options)
        except BaseException:
            connection._transport.close()
            raise

    def close(connection: Any, *arguments: Any, **options: Any) -> None:
        try:
            closing(connection, *arguments, **options)
        finally:
            connection._transport.close()

    Connection.open, Connection.close = open_, close  # type: ignore[method-assign]
