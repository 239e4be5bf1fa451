"""The whole infrastructure deployed in a local cloud, beside the same number of PUTs by hand.

`python -m tests.benchmarks.infra [--runs 5]`. In one process; nothing is asserted.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from pathlib import Path

from orchestrator.client import Orchestrator
from tests.benchmarks.measuring import Row, ended, interleaved, orchestrator, table
from tests.cloud.test_library_infra import Project

_numbers = itertools.count()
IDENTITY = "Microsoft.ManagedIdentity/userAssignedIdentities"


def fresh(project: Project) -> Orchestrator:
    return project.orchestrator(f"rg-{next(_numbers)}")


def timed(orc: Orchestrator, resources: int | None = None) -> float:
    """Seconds for everything; `resources`: for so many identities put one by one instead."""
    with orc:
        orc.infra.ensure_group()
        clients = orc._clients
        began = time.perf_counter()
        if resources is None:
            orc.infra.deploy()
        else:
            from azure.mgmt.resource.resources.models import GenericResource

            for n in range(resources):
                clients.resources.resources.begin_create_or_update_by_id(
                    clients.resource_id(IDENTITY, f"by-hand-{n}"),
                    GenericResource({"location": "westeurope"}),
                    api_version="2024-11-30",
                ).result()
        return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.infra")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        project = Project(Path(folder))
        try:
            with fresh(project) as made:
                resources = len(made.infra.deploy().changes) - 1

            def again() -> float:
                with project.orchestrator(made.profile.resource_group) as orc:
                    began = time.perf_counter()
                    orc.infra.deploy()
                    return time.perf_counter() - began

            first, second, by_hand = interleaved(
                [
                    lambda: timed(fresh(project)),
                    again,
                    lambda: timed(fresh(project), resources),
                ],
                runs,
            )
            beside = f"{resources} PUTs one by one"
            rows = [
                Row(f"infra deploy, {resources} resources", first, "s", beside, by_hand, "seconds"),
                Row("infra deploy again, nothing to do", second, "s", beside, by_hand),
            ]
            state = ["--state", str(Path(folder) / "local"), *("--port", "0")]
            ports = ["--identity-port", "0", "--amqp-port", "0", "--amqps-port", "0"]
            ended(orchestrator("local", "up", *state, *ports), cwd=project.folder)
            try:
                from os import environ

                env = {**environ, "ORCHESTRATOR_STATE": state[1]}
                for what in ("up, from nothing", "up again, nothing to do"):
                    took, _ = ended(orchestrator("up"), cwd=project.folder, env=env)
                    rows.append(Row(f"{what}, as the command", took, "s"))
            finally:
                ended(orchestrator("local", "reset", "--yes", *state[:2]), cwd=project.folder)
            print(table(rows))
        finally:
            project.cloud.stop()


if __name__ == "__main__":
    main()
