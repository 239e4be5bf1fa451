"""The local cloud: its rooms, wired together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

from aiohttp import web

from orchestrator.clock import Clock, SystemClock
from orchestrator.localcloud.administration.api import AdministrationApi
from orchestrator.localcloud.alerts.room import Alerts
from orchestrator.localcloud.arm.access import Access
from orchestrator.localcloud.arm.dispatch import ResourceManager
from orchestrator.localcloud.arm.http import (
    CLIENT_MAX_SIZE,
    arm_handler,
    authenticate,
    envelope,
)
from orchestrator.localcloud.arm.operations import iso
from orchestrator.localcloud.arm.store import ResourceStore
from orchestrator.localcloud.config import CloudConfig
from orchestrator.localcloud.deployments.provider import Deployments
from orchestrator.localcloud.deployments.stacks import DeploymentStacks
from orchestrator.localcloud.identity import METRICS_AUDIENCES, Identity
from orchestrator.localcloud.identity_directory import Directory
from orchestrator.localcloud.identity_graph import Graph
from orchestrator.localcloud.identity_http import add_login_routes, identity_app
from orchestrator.localcloud.listeners import HOST, bind
from orchestrator.localcloud.log_workspaces import LogWorkspaces
from orchestrator.localcloud.logs.api import LogsApi
from orchestrator.localcloud.logs.database import LogStoreError
from orchestrator.localcloud.logs.event_stream import add_event_routes
from orchestrator.localcloud.logs.query import QueryEngine
from orchestrator.localcloud.logs.store import LogStore
from orchestrator.localcloud.logs.stream import add_stream_routes
from orchestrator.localcloud.messages_http.api import MessagesApi
from orchestrator.localcloud.metrics.batch import MetricsBatch
from orchestrator.localcloud.metrics.room import Metrics
from orchestrator.localcloud.namespace_http import NamespaceHttp
from orchestrator.localcloud.providers import known_types
from orchestrator.localcloud.providers.authorization.provider import Authorization, built_in
from orchestrator.localcloud.providers.catalogue import GEOGRAPHIES, LOCATIONS
from orchestrator.localcloud.providers.container_apps.jobs import ContainerApps, StoredJobs
from orchestrator.localcloud.providers.deployment_scripts import DeploymentScripts
from orchestrator.localcloud.providers.features import Features
from orchestrator.localcloud.providers.generic import Generic
from orchestrator.localcloud.providers.insights.activity_log import ActivityLog
from orchestrator.localcloud.providers.insights.alerts_management import AlertsManagement
from orchestrator.localcloud.providers.insights.diagnostics import Diagnostics
from orchestrator.localcloud.providers.insights.log_analytics import OperationalInsights
from orchestrator.localcloud.providers.insights.provider import Insights
from orchestrator.localcloud.providers.key_vault.vaults import KeyVault
from orchestrator.localcloud.providers.managed_identity import ManagedIdentity, directory
from orchestrator.localcloud.providers.management_groups import ManagementGroups, scopes_above
from orchestrator.localcloud.providers.network.networks import Network
from orchestrator.localcloud.providers.registries import ContainerRegistry
from orchestrator.localcloud.providers.resource_graph import ResourceGraph
from orchestrator.localcloud.providers.resources import Resources
from orchestrator.localcloud.providers.service_bus.namespaces import ServiceBus, tier_of
from orchestrator.localcloud.providers.storage.accounts import Storage
from orchestrator.localcloud.replica_environment import ReplicaEnvironments
from orchestrator.localcloud.runtime.executors import executor_of
from orchestrator.localcloud.runtime.model import RuntimeFault
from orchestrator.localcloud.runtime.runtime import Runtime
from orchestrator.localcloud.scripts.running import ScriptRuns
from orchestrator.localcloud.service_bus_access import ServiceBusAccess
from orchestrator.localcloud.servicebus.broker import Broker
from orchestrator.localcloud.servicebus.errors import BrokerError
from orchestrator.localcloud.servicebus.front.listeners import ServiceBusFront
from orchestrator.localcloud.servicebus.front.websocket import websocket_middleware
from orchestrator.localcloud.servicebus.limits import BY_NAME
from orchestrator.localcloud.servicebus.store.sqlite import SqliteStore
from orchestrator.localcloud.state import LocalCloudError, Settings, StateFolder, unusable
from orchestrator.localcloud.steering.api import SteeringApi
from orchestrator.localcloud.steering.clock import SteerableClock
from orchestrator.localcloud.steering.faults import Faults
from orchestrator.localcloud.steering.http_faults import fault_middleware
from orchestrator.localcloud.steering.time_control import FILE as CLOCK_FILE
from orchestrator.localcloud.steering.time_control import TimeControl
from orchestrator.localcloud.tls import Certificates
from orchestrator.localcloud.waiting_messages import WaitingMessages

_log = logging.getLogger(__name__)

VERSION = 1
RENEWAL_CHECK = 6 * 3600


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Around the opening of a room: what it cannot read becomes a sentence with a way out."""
    try:
        yield
    except (BrokerError, RuntimeFault, LogStoreError) as error:
        message = str(getattr(error, "message", error))
        hint = str(getattr(error, "hint", ""))
        raise LocalCloudError(
            message,
            hint or "`orchestrator local reset` starts afresh; it removes all local state.",
        ) from error


class LocalCloud:
    """One local cloud in this process; `start` and `stop` belong to one event loop.

    Args:
        config: Where its state lies, which ports it uses.
        clock: The time of jobs, messages and logs; when left out the machine's, until it is steered
            (`orchestrator local clock`). Tokens and certificates live in the machine's time always.
        on_stop_request: Called when a client asks the server to stop (where there are no signals).
    """

    def __init__(
        self,
        config: CloudConfig,
        clock: Clock | None = None,
        *,
        on_stop_request: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self.clock: Clock = clock or SteerableClock()
        self.state = StateFolder(config.state)
        self.faults = Faults()
        self.time = TimeControl(self.clock, self.state.file(CLOCK_FILE))
        self._on_stop_request = on_stop_request
        self.connection: dict[str, Any] = {}
        self._undo: list[tuple[str, Callable[[], Awaitable[None] | None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # ------------------------------------------------------------------- life ----

    async def start(self) -> dict[str, Any]:
        """Start everything and write `cloud.json`; returns its content.

        Raises:
            LocalCloudError: It cannot start; nothing stays open, no state was touched.
        """
        try:
            await self._start()
        except OSError as error:
            await self.stop()
            raise unusable(self.state.path, error) from error
        except BaseException:
            await self.stop()
            raise
        return self.connection

    async def _start(self) -> None:
        self.state.acquire()
        self._at_end("lock", self.state.release)
        self.state.withdraw()
        self.time.restore()
        settings = self.state.settings()
        sockets = bind(settings, self.config.pinned)
        for opened in sockets.values():
            self._at_end("socket", opened.close)
        self.state.save(settings)
        machine = SystemClock()
        self.certificates = Certificates(self.state, machine)
        self.certificates.prepare()
        connection = self._describe(settings)
        self.identity = Identity(self.state, settings, machine, connection["login"])
        self.identity.open()
        await self._open_rooms(settings)
        await self._listen(sockets)
        await self._run_jobs(connection)
        await self.arm.resume()
        self.state.publish(connection)
        self._at_end("cloud.json", self.state.withdraw)
        self.connection = connection
        self._spawn(self._renew_certificates(), "certificates")

    async def stop(self) -> None:
        """Stop everything in the reverse order of its start. May be called twice."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while self._undo:
            name, undo = self._undo.pop()
            try:
                result = undo()
                if result is not None:
                    await result
            except Exception:  # noqa: BLE001 - the rest must be stopped, too
                _log.exception("stopping %s failed", name)

    def _at_end(self, name: str, undo: Callable[[], Awaitable[None] | None]) -> None:
        self._undo.append((name, undo))

    def _spawn(self, work: Any, name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ------------------------------------------------------------------ rooms ----

    async def _open_rooms(self, settings: Settings) -> None:
        """Everything that has a state, without anybody being served yet."""
        self.broker = Broker(
            SqliteStore(self.state.file("broker.sqlite")),
            self.clock,
            limits=BY_NAME[self.config.limits],
        )
        with _readable():
            await self.broker.open()
        self._at_end("broker", self.broker.close)
        store = ResourceStore(self.state.file("arm.sqlite"))
        store.open()
        self._at_end("resource store", store.close)
        self.identity.directory = directory(store)
        self.jobs = StoredJobs(store)
        self.apps = ContainerApps(self.identity)
        self.scripts = DeploymentScripts()
        self.service_bus = ServiceBus(self.broker, endpoint=f"{HOST}:{settings.ports['amqp']}")
        self.broker.sku = partial(tier_of, store)
        self.metrics = metrics = Metrics(self.state.file("metrics.sqlite"), self.clock, store)
        self.insights = Insights(metrics)
        self.directory = Directory(self.identity, store)
        access = None
        if self.config.rbac == "enforce":
            above = partial(scopes_above, store, settings.tenant)
            access = Access(store, built_in, [self.identity.owner.object_id], above)
        self.bus_access = ServiceBusAccess(store, access)
        self.arm = ResourceManager(
            store,
            self.clock,
            subscription=settings.subscription,
            tenant=settings.tenant,
            providers=[
                Resources(),
                self.scripts,
                Deployments(),
                DeploymentStacks(),
                Authorization(self.directory.principal_type),
                ManagementGroups(),
                ResourceGraph(),
                Features(),
                self.apps,
                ContainerRegistry(),
                ManagedIdentity(),
                Network(),
                KeyVault(),
                Storage(),
                OperationalInsights(),
                self.service_bus,
                self.insights,
                ActivityLog(),
                Diagnostics(),
                AlertsManagement(lambda: self.alerts),
            ],
            fallback=Generic(),
            access=access,
            known=known_types.known,
            regions=LOCATIONS,
            geographies=GEOGRAPHIES,
        )
        self._at_end("Resource Manager", self.arm.close)
        await self.arm.open()
        self.metrics.open(self.broker)
        self._at_end("metrics", self.metrics.close)
        self.time.settling.append(self.metrics.look)
        self.workspaces = LogWorkspaces(store, self.jobs, self.identity)
        self.workspaces.access = access
        self.logs = LogStore(
            self.state.file("logs.duckdb"), self.clock, workspace_of=self.workspaces.workspace_of
        )
        with _readable():
            await self.logs.start()
        self._at_end("logs", self.logs.close)
        self.queries = QueryEngine(self.logs, self.clock, delay=self.faults.log_delay)
        self._at_end("queries", self.queries.close)
        self.alerts = Alerts(
            self.state.file("alerts.sqlite"),
            self.clock,
            store,
            settings.subscription,
            self.metrics,
            self.queries,
            self.workspaces.scope_of,
        )

    async def _run_jobs(self, connection: dict[str, Any]) -> None:
        """Let jobs and scripts run; the endpoints that these talk to are served by now."""
        environments = partial(
            ReplicaEnvironments,
            self.identity,
            endpoint=connection["identity"]["endpoint"],
            broker=connection["service_bus"]["amqps"],
            ca=connection["ca"],
            bundle=connection["ca_bundle"],
            https=connection["resource_manager"].removeprefix("https://"),
            namespaces=self.broker.namespaces,
        )
        runtime = Runtime(
            state=self.state.path,
            jobs=self.jobs,
            executor=await executor_of(
                self.config, self.state.path, [self.certificates.ca, self.certificates.bundle]
            ),
            logs=self.logs,
            clock=self.clock,
            environment=environments(),
            queues=WaitingMessages(self.broker, self.bus_access),
            meter=self.metrics.jobs,
        )
        self._at_end("runtime", runtime.stop)
        with _readable():
            await runtime.start()
        self.runtime = runtime
        self.apps.runtime = runtime
        self.scripts.runs = ScriptRuns(
            state=self.state.path,
            project=self.config.project,
            connection=connection,
            environment=environments(sole=True),
            clock=self.clock,
        )
        self._at_end("job control", self._forget_runtime)
        self.insights.alerts = self.alerts
        self.alerts.start()
        self._at_end("alerts", self.alerts.close)
        self.time.settling.append(self.alerts.settle)
        self.time.runtime, self.time.broker = runtime, self.broker
        self._at_end("clock", self.time.close)

    def _forget_runtime(self) -> None:
        self.apps.runtime = None

    # -------------------------------------------------------------- listeners ----

    async def _listen(self, sockets: dict[str, socket.socket]) -> None:
        rights = self.bus_access.rights if self.config.rbac == "enforce" else None
        struck = fault_middleware(self.faults)
        bus_http = NamespaceHttp(self.broker, self.identity.check, SystemClock(), rights)
        administration = AdministrationApi(self.broker, bus_http, self.service_bus.align)
        messages = MessagesApi(
            self.broker, bus_http, self.clock, self.faults.service_bus, around=struck
        )
        front = ServiceBusFront(
            self.broker,
            self.identity.check,
            self.clock,
            strikes=self.faults.service_bus,
            rights_of=rights,
            http=[messages.middleware, struck, administration.middleware],
        )
        app = web.Application(
            client_max_size=CLIENT_MAX_SIZE,
            middlewares=[
                websocket_middleware(front),
                # Resource Manager's headers are no part of a message.
                messages.middleware,
                envelope,
                struck,
                administration.middleware,
            ],
        )
        add_login_routes(app, self.identity)
        Graph(self.identity, self.directory).add_routes(app)
        LogsApi(
            self.queries,
            self.workspaces.workspaces,
            self.workspaces.authorize_query,
            self.workspaces.permit_query,
        ).add_routes(app)
        MetricsBatch(
            self.metrics,
            self.arm.store,
            self.arm.subscription,
            lambda request: authenticate(self.identity, request, METRICS_AUDIENCES),
        ).add_routes(app)
        add_stream_routes(app, self.logs, self.workspaces.authorize_stream)
        add_event_routes(app, self.logs, self.workspaces.authorize_stream)
        throttling = self.config.throttling == "enforce"
        everything = arm_handler(self.arm, self.identity, throttling=throttling)
        app.router.add_route("*", "/{path:.*}", everything)
        await self._serve("HTTPS", app, sockets["https"], tls=True)
        steering = SteeringApi(self.identity, self.time, self.faults)
        tokens = identity_app(self.identity, self._on_stop_request, steering.add_routes)
        tokens.middlewares.append(fault_middleware(self.faults, "identity"))
        await self._serve("identity", tokens, sockets["identity"], tls=False)
        self._at_end("Service Bus", front.stop)
        self._at_end("waiting for messages", messages.end)
        await front.start(
            plain_port=sockets["amqp"],
            tls_port=sockets["amqps"],
            ssl_context=self.certificates.context(),
        )

    async def _serve(
        self, name: str, app: web.Application, opened: socket.socket, *, tls: bool
    ) -> None:
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=2.0,
            keepalive_timeout=75.0,
        )
        await runner.setup()

        async def stop() -> None:
            connections = [item.transport for item in runner.server.connections]  # type: ignore[union-attr]
            await runner.cleanup()
            # Closing politely waits for the peer's word; a client that keeps a connection for
            # later does not give it.
            for connection in connections:
                if connection is not None:
                    connection.abort()

        self._at_end(name, stop)
        context = self.certificates.context() if tls else None
        await web.SockSite(runner, opened, ssl_context=context, backlog=512).start()

    async def _renew_certificates(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_CHECK)
            with contextlib.suppress(OSError):
                self.certificates.renew()

    def _describe(self, settings: Settings) -> dict[str, Any]:
        ports = settings.ports
        base = f"https://{HOST}:{ports['https']}"
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "started": iso(SystemClock().time()),
            "project": str(self.config.project) if self.config.project else None,
            "executor": self.config.executor,
            "rbac": self.config.rbac,
            "limits": self.config.limits,
            "throttling": self.config.throttling,
            "tenant": settings.tenant,
            "subscription": settings.subscription,
            "resource_manager": base,
            "logs": base,
            "login": base,
            "identity": {
                "endpoint": f"http://{HOST}:{ports['identity']}/msi/token",
                "header": settings.header,
            },
            "application": dict(settings.application),
            "service_bus": {
                "amqp": f"{HOST}:{ports['amqp']}",
                "amqps": f"{HOST}:{ports['amqps']}",
            },
            "ca": str(self.certificates.ca),
            "ca_bundle": str(self.certificates.bundle),
        }
