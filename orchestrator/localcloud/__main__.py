"""`python -m orchestrator.localcloud --state DIR`: one local cloud, in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import faulthandler
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.clock import SystemClock
from orchestrator.localcloud import umask
from orchestrator.localcloud.config import CloudConfig
from orchestrator.localcloud.server_log import configure
from orchestrator.localcloud.state import SERVER_LOG, LocalCloudError
from orchestrator.localcloud.state_watch import StateWatch

_log = logging.getLogger("orchestrator.localcloud")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until a signal; the exit status is 0 for a clean stop, 1 for no start or no state."""
    options = _parser().parse_args(arguments)
    umask.keep_private()
    state: Path = options.state.expanduser().absolute()
    configure(state / SERVER_LOG if options.detached else None)
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        faulthandler.enable()
    config = CloudConfig(
        state,
        options.project.expanduser().absolute() if options.project else None,
        port=options.port,
        identity_port=options.identity_port,
        amqp_port=options.amqp_port,
        amqps_port=options.amqps_port,
        executor=options.executor,
        rbac=options.rbac,
        limits=options.limits,
        throttling=options.throttling,
    )
    return asyncio.run(_serve(config, detached=options.detached))


# What a message makes lives until it is durable, so that under load many thousands of objects are
# young at once: looked through at every 700th, as Python would, they cost a tenth of the broker's
# own CPU.
YOUNG = (10_000, 10, 10)


async def _serve(config: CloudConfig, *, detached: bool) -> int:
    # Everything that a start makes is kept: looking for garbage in it took a tenth of the start,
    # and would be repeated in every full collection of the server's life.
    gc.disable()
    # Here, not above: what it imports takes most of the start, and --help needs none of it.
    from orchestrator.localcloud.server import LocalCloud

    stop = asyncio.Event()
    _on_signals(stop)
    cloud = LocalCloud(config, on_stop_request=stop.set)
    try:
        connection = await cloud.start()
    except LocalCloudError as error:
        if detached:
            _report({"error": error.message, "hint": error.hint})
        else:
            _say(f"{error.message}\n{error.hint}".rstrip(), sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - reported, then the process ends
        _log.exception("the local cloud cannot start")
        if detached:
            _report(
                {
                    "error": f"The local cloud cannot start ({type(error).__name__}: {error}).",
                    "hint": f"The whole story is in {config.state / SERVER_LOG}.",
                }
            )
        return 1
    gc.freeze()
    gc.set_threshold(*YOUNG)
    gc.enable()
    _log.info("ready: process %d, %s", os.getpid(), connection["resource_manager"])
    if detached:
        _report({"ready": connection})
    else:
        _say(f"Local cloud ready at {connection['resource_manager']}; Ctrl-C stops it.", sys.stdout)
    lost = await _until(stop, StateWatch(cloud.state, connection, SystemClock()))
    if lost:
        _log.error("%s Stopping, with all replicas.", lost)
        if not detached:
            _say(f"{lost} Stopping, with all replicas.", sys.stderr)
    _log.info("stopping")
    await cloud.stop()
    _log.info("stopped")
    if lost:
        # Whatever would be tidied up now is found by its name, and may be another server's.
        os._exit(1)
    return 0


async def _until(stop: asyncio.Event, watch: StateWatch) -> str | None:
    """Until it is told to stop, or has no state any more; then why."""
    told = asyncio.ensure_future(stop.wait())
    watching = asyncio.ensure_future(watch.until_lost())
    await asyncio.wait((told, watching), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if watching.done():
        return watching.result()
    watching.cancel()
    return None


def _on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is None:
            continue
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:
            # Windows' loops have none; a plain handler wakes the loop.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    if hasattr(signal, "SIGHUP"):
        # The terminal that started it may close.
        loop.add_signal_handler(signal.SIGHUP, lambda: None)


def _report(answer: dict[str, Any]) -> None:
    """Tell `process.up` how it went; then stdout is server.log, as stderr is."""
    with contextlib.suppress(OSError):
        _say(json.dumps(answer), sys.stdout)
    with contextlib.suppress(OSError):
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _say(text: str, stream: Any) -> None:
    stream.write(text + "\n")
    stream.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orchestrator.localcloud",
        description="A server on this machine that speaks Azure's protocols.",
    )
    add = parser.add_argument
    add("--state", type=Path, required=True, metavar="DIR", help="folder for everything it keeps")
    add("--project", type=Path, metavar="DIR", help="folder with orchestrator.toml")
    add("--port", type=int, metavar="N", help="HTTPS port (0: any free one)")
    add("--identity-port", type=int, metavar="N", help="port of the identity endpoint")
    add("--amqp-port", type=int, metavar="N", help="Service Bus port, plain")
    add("--amqps-port", type=int, metavar="N", help="Service Bus port, TLS")
    add("--executor", choices=("process", "container"), default="process", help="what replicas are")
    add("--rbac", choices=("off", "enforce"), default="off", help="whether roles are obeyed")
    add(
        "--limits",
        choices=("strict", "relaxed"),
        default="strict",
        help="quotas of Service Bus",
    )
    throttled = "whether who asks too often is refused"
    add("--throttling", choices=("off", "enforce"), default="off", help=throttled)
    add("--detached", action="store_true", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
