"""Lists of executions as Resource Manager gives them: of one job, and of many at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from orchestrator.azure.clients import CONTAINERS_VERSION, Clients
from orchestrator.azure.resource_lists import listed
from orchestrator.errors import JobNotFound, Throttled
from orchestrator.executions.record import execution_record
from orchestrator.results import Execution
from orchestrator.waiting import Time

if TYPE_CHECKING:
    from concurrent.futures import Future

    from orchestrator.jobs.verbs import JobVerbs

_AT_ONCE = 8  # requests at a time, over all jobs
# Resource Manager gives a principal 250 reads at once and 25 a second after that
# (https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling)
# and says how long to wait; each request does so at most this often, besides the SDK's own tries.
_ROUNDS = 6
_WAIT = 5.0  # seconds, where the service says none

Progress = Callable[[int, int], None]
"""(jobs that were asked, of so many)."""


class ExecutionLists:
    """The lists of one resource group's jobs."""

    def __init__(self, clients: Clients, jobs: JobVerbs, time: Time) -> None:
        self._clients = clients
        self._jobs = jobs
        self._time = time
        self._lock = threading.Lock()
        self._not_before = 0.0  # told to wait, all wait

    def of(self, job: str) -> list[Execution]:
        """A job's executions, in the order of the service. Raises JobNotFound."""
        path = self._clients.resource_id("Microsoft.App/jobs", quote(job)) + "/executions"
        doing = f"list the executions of the job {job}"
        with self._jobs.told(doing, job):
            found = listed(self._clients, path, CONTAINERS_VERSION, doing)
        return [execution_record(each, job) for each in found]

    def of_all(self, jobs: Sequence[str], progress: Progress | None = None) -> list[Execution]:
        """The executions of many jobs, several asked at a time; a job that has gone has none."""
        found: list[Execution] = []
        if len(jobs) < 2:
            return [execution for job in jobs for execution in self._patiently(job)]
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        with ThreadPoolExecutor(min(_AT_ONCE, len(jobs)), "executions") as pool:
            asked: set[Future[list[Execution]]] = set()
            try:
                asked = {pool.submit(self._patiently, job) for job in jobs}
                while asked:
                    done, asked = wait(asked, return_when=FIRST_COMPLETED)
                    for each in done:
                        found += each.result()
                    if progress:
                        progress(len(jobs) - len(asked), len(jobs))
            except BaseException:  # such as Ctrl-C: the jobs that are left are not asked for
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return found

    def _patiently(self, job: str) -> list[Execution]:
        for left in reversed(range(_ROUNDS)):
            with self._lock:
                pause = self._not_before - self._time.time()
            if pause > 0:
                self._time.sleep(pause)
            try:
                return self.of(job)
            except JobNotFound:  # deleted since the jobs were listed
                break
            except Throttled as error:
                if not left:
                    raise
                with self._lock:
                    again = self._time.time() + (error.retry_after or _WAIT)
                    self._not_before = max(self._not_before, again)
        return []
