"""What an `Orchestrator` is made of: the settings, the clients, and one object of verbs a noun.

Each is built when it is first used, and its module imported then, so that a command pays for what
it does and for nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.built_once import built_once

if TYPE_CHECKING:
    from typing import Self

    from orchestrator.alerts.verbs import AlertVerbs
    from orchestrator.azure.clients import Clients
    from orchestrator.azure.profile import Profile
    from orchestrator.azure.service_time import ServiceTime
    from orchestrator.doctor.patient import Rooms
    from orchestrator.executions.verbs import ExecutionVerbs
    from orchestrator.infra.verbs import InfraVerbs
    from orchestrator.jobs.verbs import JobVerbs
    from orchestrator.logs.system_log import SystemLog
    from orchestrator.logs.verbs import LogVerbs
    from orchestrator.metrics.verbs import MetricVerbs
    from orchestrator.planning.verbs import PlanVerbs
    from orchestrator.queues.verbs import QueueVerbs
    from orchestrator.settings import Settings
    from orchestrator.waiting import Time


class Nouns:
    """The base of `Orchestrator`: what its verbs work on."""

    def __init__(
        self,
        settings: Settings,
        profile: Profile,
        *,
        clients: Clients | None = None,
        time: Time | None = None,
    ) -> None:
        self.settings = settings
        self.profile = profile
        self._given_clients = clients
        self._given_time = time

    def close(self) -> None:
        """Let go of the connections. The next call opens new ones."""
        clients = self.__dict__.pop("_clients", None)
        if clients is not None:
            clients.close()
        for noun, made in vars(Nouns).items():
            if isinstance(made, built_once):
                self.__dict__.pop(noun, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def _check_settings(self, verb: str) -> None:
        from orchestrator.errors import SettingsNotFound

        if self.settings.path is None:
            raise SettingsNotFound(
                f"There is no orchestrator.toml here or in a parent folder, so nothing to {verb}.",
                "Make one: orchestrator init",
            )

    @built_once
    def _clients(self) -> Clients:
        from orchestrator.azure.clients import Clients

        return self._given_clients or Clients(self.profile)

    @built_once
    def _time(self) -> Time:
        from orchestrator.waiting import SystemTime

        return self._given_time or SystemTime()

    @built_once
    def _service_time(self) -> ServiceTime:
        from orchestrator.azure.service_time import ServiceTime

        return ServiceTime(self._time, self._clients)

    @built_once
    def _jobs(self) -> JobVerbs:
        from orchestrator.jobs.verbs import JobVerbs

        return JobVerbs(self._clients)

    @built_once
    def _plans(self) -> PlanVerbs:
        from orchestrator.planning.verbs import PlanVerbs

        return PlanVerbs(self._clients, self._jobs, self._time)

    @built_once
    def _executions(self) -> ExecutionVerbs:
        from orchestrator.executions.verbs import ExecutionVerbs

        return ExecutionVerbs(self._clients, self._jobs, self._time, self._system_log)

    @built_once
    def _system_log(self) -> SystemLog:
        from orchestrator.logs.system_log import SystemLog

        return SystemLog(self._clients, lambda: self._logs)

    @built_once
    def _logs(self) -> LogVerbs:
        from orchestrator.logs.verbs import LogVerbs

        return LogVerbs(self._clients, self._jobs, self._time)

    @built_once
    def _queues(self) -> QueueVerbs:
        from orchestrator.queues.verbs import QueueVerbs

        return QueueVerbs(self._clients, self._time)

    @built_once
    def _infra(self) -> InfraVerbs:
        from orchestrator.infra.verbs import InfraVerbs

        return InfraVerbs(self._clients, self.settings, self._time)

    @built_once
    def _metrics(self) -> MetricVerbs:
        from orchestrator.metrics.verbs import MetricVerbs

        return MetricVerbs(self._clients, self._jobs, self._queues, self._executions, self._time)

    @built_once
    def _alerts(self) -> AlertVerbs:
        from orchestrator.alerts.verbs import AlertVerbs

        return AlertVerbs(self._clients, self.settings)

    def _doctors_rooms(self) -> Rooms:
        from orchestrator.doctor.patient import Rooms

        return Rooms(
            clients=self._clients,
            jobs=self._jobs,
            executions=self._executions,
            queues=self._queues,
            logs=self._logs,
            system_log=self._system_log,
            metrics=self._metrics,
            plans=self._plans,
            time=self._time,
        )
