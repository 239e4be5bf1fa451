"""A resubmission that is killed again and again loses nothing, and doubles what it says at most."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.queues import dead_letters
from orchestrator.queues.handle import QueueHandle
from orchestrator.settings import QueueSpec
from tests.cloud.library_world import World
from tests.cloud.servicebus_pace import brisk_sdk

MESSAGES = 400
KILLS = 6
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("resubmit"))
    with brisk_sdk():
        made.orc.up()
        yield made
    made.close()


def fill(world: World, queue: QueueHandle) -> list[str]:
    """Dead-letter MESSAGES messages; their bodies."""
    bodies = [f"n-{i}" for i in range(MESSAGES)]
    queue.send(*bodies)
    done = 0
    with world.orc._clients.bus() as bus, bus.get_queue_receiver(queue.name) as receiver:
        while done < MESSAGES:
            for message in receiver.receive_messages(100, max_wait_time=5):
                receiver.dead_letter_message(message, reason="Bad")
                done += 1
    return bodies


def resubmit(
    world: World,
    queue: QueueHandle,
    end_after: float | None,
    chance: random.Random,
    kill: bool = True,
) -> bool:
    """One run of the child, ended so many seconds after its work began; True if it was let end.

    The end comes by SIGKILL, or by Ctrl-C where a process can be sent one; without `kill` by Ctrl-C
    alone, which is waited for.
    """
    with contextlib.ExitStack() as stack:
        child = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "tests.faults.resubmit_child", world.path, queue.name],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")},
            )
        )
        stack.callback(child.kill)
        assert child.stdout is not None
        if end_after is None:
            out, err = child.communicate(timeout=60)
            assert child.returncode == 0, err
            return out.splitlines()[-1] == "left 0"
        line = child.stdout.readline()
        while line and not line[0].isdigit():  # the first batch is dealt with
            line = child.stdout.readline()
        time.sleep(end_after)
        if not kill:
            import signal

            child.send_signal(signal.SIGINT)
            child.communicate(timeout=60)
            return False
        if sys.platform != "win32" and chance.random() < 0.3:
            import signal

            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.05)
        child.kill()
        child.wait(10)
        return False


@pytest.mark.parametrize("detects", [True, False], ids=["detecting", "plain"])
def test_a_killed_resubmission_loses_nothing(world: World, detects: bool) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)
    name = "detecting" if detects else "plain"
    spec = QueueSpec(
        lock_duration=timedelta(seconds=5),
        duplicate_detection=timedelta(minutes=30) if detects else None,
    )
    world.orc.queues.create(name, spec)
    queue = world.orc.queues[name]
    bodies = fill(world, queue)
    killed = 0
    for _ in range(KILLS):
        resubmit(world, queue, chance.uniform(0, 0.08), chance)
        killed += 1
        shown = queue.show()
        assert shown.active + shown.dead_letter >= MESSAGES  # nothing is ever lost
        if not shown.dead_letter:
            break
    deadline = time.monotonic() + 60
    while queue.show().dead_letter:
        assert time.monotonic() < deadline
        resubmit(world, queue, None, chance)
    found = Counter(message.body for message in queue.peek(None))
    assert set(found) == set(bodies)
    if detects:
        assert found.total() == MESSAGES  # within the window nothing is doubled
    else:
        assert found.total() <= MESSAGES + killed * dead_letters.PLAIN_BATCH


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_doubles_nothing(world: World) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # shown when the test fails
    chance = random.Random(seed)
    world.orc.queues.create("stopped", QueueSpec(lock_duration=timedelta(seconds=5)))
    queue = world.orc.queues["stopped"]
    bodies = fill(world, queue)
    stopped = 0
    while queue.show().dead_letter and stopped < KILLS:
        resubmit(world, queue, chance.uniform(0, 0.02), chance, kill=False)
        stopped += 1
    assert stopped > 1  # it was stopped before it was done
    while queue.show().dead_letter:
        resubmit(world, queue, None, chance)
    assert sorted(message.body for message in queue.peek(None)) == sorted(bodies)
