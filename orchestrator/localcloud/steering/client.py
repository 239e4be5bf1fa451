"""Steers a running local cloud over HTTP; what the command and test fixtures use.

Standard library only: a command must not wait for an HTTP library's import.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.localcloud.state import LocalCloudError

TIMEOUT = 30.0
_POLL = 0.05


class AdvanceTimeout(LocalCloudError):  # noqa: N818 - what has come is a time-out
    """The clock did not get where it was sent in the time for that.

    Attributes:
        state: How it stood, `waiting_for` included.
    """

    def __init__(self, state: dict[str, Any], timeout: float) -> None:
        super().__init__(
            f"The clock got to {state['time']} in {timeout:g} s and goes on from there."
            f"{_why(state)}",
            "Wait less for each: --patience 5s; or see why they run: orchestrator executions list",
        )
        self.state = state


def _why(state: Mapping[str, Any]) -> str:
    awaited = ", ".join(state.get("waiting_for") or ())
    return f" It waited for {awaited}." if awaited else ""


class SteeringClient:
    """The local cloud behind a connection (the content of `cloud.json`).

    Every method raises LocalCloudError: it does not answer, or refuses.
    """

    def __init__(self, connection: Mapping[str, Any]) -> None:
        address = urllib.parse.urlsplit(str(connection["identity"]["endpoint"]))
        self._host, self._port = address.hostname or "127.0.0.1", address.port
        self._header = str(connection["identity"]["header"])

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one request under `/local/`; its JSON answer."""
        link = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        try:
            link.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={"X-IDENTITY-HEADER": self._header, "Content-Type": "application/json"},
            )
            response = link.getresponse()
            answer = json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise LocalCloudError(
                f"The local cloud does not answer ({error or type(error).__name__}).",
                "See how it is: orchestrator local status",
            ) from error
        finally:
            link.close()
        if response.status >= 400:
            found = answer.get("error") if isinstance(answer, dict) else None
            message = found.get("message") if isinstance(found, dict) else None
            refused = LocalCloudError(
                str(message or f"The local cloud answers {response.status}."),
                f"What is possible: orchestrator local {path.strip('/').split('/')[1].rstrip('s')}"
                " --help",
            )
            if response.status == 400:
                refused.exit_code = 2  # what was asked for is wrong
            raise refused
        return answer

    # ------------------------------------------------------------------ clock

    def clock(self) -> dict[str, Any]:
        """How the clock stands: `time`, `machine`, `ahead`, `rate`, `frozen`, `advancing_to`, …"""
        return dict(self.request("GET", "/local/clock"))

    def advance(
        self,
        seconds: float,
        *,
        patience: float = 30.0,
        timeout: float | None = None,
        progress: Callable[[dict[str, Any]], None] = lambda state: None,
    ) -> dict[str, Any]:
        """Move time on and wait until it is there; how the clock stands then.

        Args:
            seconds: By how much.
            patience: Seconds of the machine's time that the program of a replica that starts on
                the way is waited for.
            timeout: Seconds of the machine's time for all of it; then AdvanceTimeout is raised,
                and the clock runs on from where it is. None: as long as it takes.
            progress: Called now and then with how the clock stands: `time`, `waiting_for` (the
                replicas) and for how long it has been `waiting` for them.
        """
        body = {"seconds": seconds, "patience": patience, "wait": False}
        before = self.clock()
        state: dict[str, Any] = self.request("POST", "/local/clock/advance", body)
        target = state.get("advancing_to")
        began = time.monotonic()
        try:
            while state.get("advancing_to") is not None:
                progress(state)
                if timeout is not None and time.monotonic() - began >= timeout:
                    raise AdvanceTimeout(state, timeout)
                time.sleep(_POLL)
                state = self.clock()
        except BaseException:
            # Nobody waits for it any more, as after Ctrl-C: let time run on from where it is.
            with contextlib.suppress(LocalCloudError):
                self.freeze() if before["frozen"] else self.rate(before["rate"])
            raise
        if target is not None and state["time"] < target:
            raise LocalCloudError(
                f"The clock was set by somebody else on the way; it shows {state['time']}.",
                "See how it stands: orchestrator local clock show",
            )
        return state

    def rate(self, rate: float) -> dict[str, Any]:
        """Let time pass `rate` times as fast as the machine's."""
        return dict(self.request("POST", "/local/clock/rate", {"rate": rate}))

    def freeze(self) -> dict[str, Any]:
        """Let no time pass."""
        return dict(self.request("POST", "/local/clock/freeze", {}))

    def reset(self) -> dict[str, Any]:
        """Go back to the machine's time."""
        return dict(self.request("POST", "/local/clock/reset", {}))

    # ------------------------------------------------------------------ faults

    def faults(self) -> list[dict[str, Any]]:
        """The faults there are: what `add_fault` was told, and `id`, `hits`, `spent`."""
        return list(self.request("GET", "/local/faults")["value"])

    def add_fault(self, kind: str, **more: Any) -> dict[str, Any]:
        """Add a fault and return it.

        Args:
            kind: `status`, `latency`, `drop`, `server-busy`, `lock-lost`, `disconnect` or
                `log-delay`.
            more: `on`, `queue`, `rate`, `count`, `status`, `retry_after`, `delay`, `after`; see
                docs/local-cloud.md, "Faults on demand". None: left out.
        """
        body = {"kind": kind} | {name: v for name, v in more.items() if v is not None}
        return dict(self.request("POST", "/local/faults", body))

    def remove_fault(self, id_: str) -> dict[str, Any]:
        """Remove one; what it was."""
        return dict(self.request("DELETE", f"/local/faults/{urllib.parse.quote(id_, safe='')}"))

    def clear_faults(self) -> int:
        """Remove all; how many there were."""
        return int(self.request("DELETE", "/local/faults")["removed"])
