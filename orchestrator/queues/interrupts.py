"""Ctrl-C, held back for as long as something must not stop half-way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held() -> Iterator[None]:
    """Within the block, Ctrl-C (SIGINT) waits for its end; a second one does not wait.

    What comes then is what would have come without: KeyboardInterrupt, or whatever else the program
    has set for the signal. Nothing is held where Python handles no signals (another thread than the
    main one) or where the signal is ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        yield
        return
    pending: list[FrameType | None] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if pending:
            signal.signal(signal.SIGINT, before)
            before(number, frame)
        else:
            pending.append(frame)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pending:
        before(signal.SIGINT, pending[0])
