"""The SDK clients of a profile, each built when it is first used.

Microsoft's own clients, given what a profile is made of: endpoints, token audience, CA bundle,
credential; time-outs and retries alike for all of them. They share one transport, so one
connection pool; lists have a lighter one. Importing this module costs nothing; azure-core is
imported by the first client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from orchestrator.azure.profile import Endpoints, Profile, reach
from orchestrator.azure.service_time import Dates, date_policy
from orchestrator.built_once import built_once

if TYPE_CHECKING:
    from azure.core import PipelineClient
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline.transport import HttpTransport
    from azure.mgmt.alertsmanagement import AlertsManagementClient
    from azure.mgmt.appcontainers import ContainerAppsAPIClient
    from azure.mgmt.authorization import AuthorizationManagementClient
    from azure.mgmt.monitor import MonitorManagementClient
    from azure.mgmt.resource.deployments import DeploymentsMgmtClient
    from azure.mgmt.resource.deploymentstacks import DeploymentStacksClient
    from azure.mgmt.resource.deploymentstacks.operations import DeploymentStacksOperations
    from azure.mgmt.resource.resources import ResourceManagementClient
    from azure.mgmt.servicebus import ServiceBusManagementClient
    from azure.monitor.query import LogsQueryClient
    from azure.servicebus import ServiceBusClient

    from orchestrator.azure.names import Names

CONTAINERS_VERSION = "2026-07-01"  # of Microsoft.App, as azure-mgmt-appcontainers 5.1 has it
CONNECT_TIMEOUT = 10.0  # seconds to a connection
READ_TIMEOUT = 120.0  # seconds between two bytes of an answer
QUERY_TIMEOUT = 180  # seconds the log service may take for one query (its own default)
STREAM_TIMEOUT = 300.0  # seconds a silent log stream is believed in, then it is opened anew
POLLING_INTERVAL = 1.0  # seconds between two looks at an operation, where the service names none
LONGEST_RETRY_AFTER = 60.0  # seconds; a service that asks for more is reported, not waited for


class Clients:
    """The clients of one profile.

    `credential` and `transport` replace the profile's own (a test's recorder, a user's own token
    source). Raises NotReachable when a local cloud's endpoints are wanted and it is not up.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        credential: TokenCredential | None = None,
        transport: HttpTransport[Any, Any] | None = None,
    ) -> None:
        self.profile = profile
        self._credential = credential
        self._transport = transport
        self.dates = Dates()

    # ---------------------------------------------------------------- what they are made of

    @built_once
    def endpoints(self) -> Endpoints:
        return reach(self.profile)

    @built_once
    def credential(self) -> TokenCredential:
        """The profile's token source: a managed-identity endpoint, or DefaultAzureCredential."""
        if self._credential is not None:
            return self._credential
        if self.endpoints.identity is not None:
            from orchestrator.azure.identity import EndpointCredential

            return EndpointCredential(self._identity)
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential()

    def _identity(self) -> tuple[str, str]:
        found = reach(self.profile).identity
        assert found is not None
        return found

    @built_once
    def transport(self) -> HttpTransport[Any, Any]:
        if self._transport is not None:
            return self._transport
        from azure.core.pipeline.transport import RequestsTransport

        transport: HttpTransport[Any, Any] = RequestsTransport(
            connection_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            connection_verify=self.endpoints.ca_bundle or True,
            use_env_settings=self._elsewhere,
        )
        return transport

    @property
    def _elsewhere(self) -> bool:
        """A proxy, or a ~/.netrc, is never meant for this machine itself."""
        host = urlsplit(self.endpoints.resource_manager).hostname or ""
        return host not in ("127.0.0.1", "::1", "localhost")

    @built_once
    def _reading_transport(self) -> HttpTransport[Any, Any]:
        """One that is quickly imported, unless the SDK's own is there already, or is needed."""
        from orchestrator.azure.reading_transport import ReadingTransport, suits

        if (
            self._transport is not None
            or "transport" in self.__dict__
            or not suits(use_env_settings=self._elsewhere)
        ):
            return self.transport
        return ReadingTransport(
            connection_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            ca_bundle=self.endpoints.ca_bundle or None,
        )

    def _options(self, transport: HttpTransport[Any, Any] | None = None) -> dict[str, Any]:
        from orchestrator import __version__

        return {
            "transport": transport or self.transport,
            "user_agent": f"aca-orchestrator/{__version__}",
            "retry_policy": retry_policy(),
        }

    def _manager_options(self, transport: HttpTransport[Any, Any] | None = None) -> dict[str, Any]:
        audience = self.endpoints.resource_manager_audience.rstrip("/")
        return {
            **self._options(transport),
            "base_url": self.endpoints.resource_manager,
            "credential_scopes": [f"{audience}/.default"],
            "polling_interval": POLLING_INTERVAL,
            "custom_hook_policy": date_policy(self.dates),
        }

    @built_once
    def names(self) -> Names:
        """The names of what the jobs use: the profile's, else those of its deployment."""
        from orchestrator.azure.names import Names

        return Names(self)

    # ---------------------------------------------------------------- the clients

    @built_once
    def containers(self) -> ContainerAppsAPIClient:
        """Jobs, executions, environments."""
        from azure.mgmt.appcontainers import ContainerAppsAPIClient

        return ContainerAppsAPIClient(
            self.credential,
            self.endpoints.subscription,
            api_version=CONTAINERS_VERSION,
            **self._manager_options(),
        )

    @built_once
    def service_bus(self) -> ServiceBusManagementClient:
        """Namespaces and queues."""
        from azure.mgmt.servicebus import ServiceBusManagementClient

        return ServiceBusManagementClient(
            self.credential, self.endpoints.subscription, **self._manager_options()
        )

    @built_once
    def resources(self) -> ResourceManagementClient:
        """Resource groups, and resources of any type by id."""
        from azure.mgmt.resource.resources import ResourceManagementClient

        return ResourceManagementClient(
            self.credential, self.endpoints.subscription, **self._manager_options()
        )

    @built_once
    def deployments(self) -> DeploymentsMgmtClient:
        """Deployments of templates: validate, what-if, operations."""
        from azure.mgmt.resource.deployments import DeploymentsMgmtClient

        return DeploymentsMgmtClient(
            self.credential, self.endpoints.subscription, **self._manager_options()
        )

    @built_once
    def stacks(self) -> DeploymentStacksOperations:
        """Deployment stacks: what a template made, as one thing."""
        from azure.mgmt.resource.deploymentstacks import DeploymentStacksClient

        self._stacks_client: DeploymentStacksClient = DeploymentStacksClient(
            self.credential, self.endpoints.subscription, **self._manager_options()
        )
        return self._stacks_client.deployment_stacks

    @built_once
    def authorization(self) -> AuthorizationManagementClient:
        """Role assignments."""
        from azure.mgmt.authorization import AuthorizationManagementClient

        return AuthorizationManagementClient(
            self.credential, self.endpoints.subscription, **self._manager_options()
        )

    @built_once
    def monitor(self) -> MonitorManagementClient:
        """Metrics, alert rules, action groups."""
        from azure.mgmt.monitor import MonitorManagementClient

        return MonitorManagementClient(
            self.credential, self.endpoints.subscription, **self._manager_options()
        )

    @built_once
    def alerts(self) -> AlertsManagementClient:
        """The alerts that have fired."""
        from azure.mgmt.alertsmanagement import AlertsManagementClient

        return AlertsManagementClient(
            self.credential, self.endpoints.subscription, **self._manager_options()
        )

    @built_once
    def logs(self) -> LogsQueryClient:
        """KQL over the log workspace."""
        from azure.monitor.query import LogsQueryClient

        return LogsQueryClient(
            self.credential,
            endpoint=self.endpoints.logs,
            audience=self.endpoints.logs_audience,
            **self._options(),
        )

    def bus(self, *, patient: bool = True) -> ServiceBusClient:
        """A new client of the namespace's queues and their messages; close it after use.

        patient: it tries again what failed, as the SDK does: also to have a session that somebody
        else holds, for a quarter of a minute.
        """
        from azure.servicebus import ServiceBusClient, TransportType

        from orchestrator import __version__

        namespace = self.names.need("namespace")
        options: dict[str, Any] = {} if patient else {"retry_total": 0}
        if self.endpoints.service_bus:
            # A custom address would mean web sockets unless told otherwise.
            options["custom_endpoint_address"] = f"sb://{self.endpoints.service_bus}"
            options["transport_type"] = TransportType.Amqp
        if self.endpoints.ca_bundle:
            options["connection_verify"] = self.endpoints.ca_bundle
        return ServiceBusClient(
            f"{namespace}.{self.endpoints.service_bus_suffix}",
            self.credential,
            user_agent=f"aca-orchestrator/{__version__}",
            **options,
        )

    @built_once
    def reading(self) -> PipelineClient[Any, Any]:
        """A pipeline to Resource Manager without any service's models (`resource_lists`).

        Its policies are those of the SDK's clients, in their order, as azure-core has them; the
        registration of providers is left out, which only a PUT can want.
        """
        from azure.core import PipelineClient
        from azure.core.pipeline import policies

        options = self._manager_options(self._reading_transport)
        return PipelineClient(
            base_url=options["base_url"],
            policies=[
                policies.RequestIdPolicy(),
                policies.HeadersPolicy(),
                policies.UserAgentPolicy(sdk_name(), user_agent=options["user_agent"]),
                policies.ProxyPolicy(),
                policies.ContentDecodePolicy(),
                policies.RedirectPolicy(),
                options["retry_policy"],
                policies.BearerTokenCredentialPolicy(
                    self.credential, *options["credential_scopes"]
                ),
                options["custom_hook_policy"],
                policies.NetworkTraceLoggingPolicy(),
                policies.DistributedTracingPolicy(),
                policies.SensitiveHeaderCleanupPolicy(),
                policies.HttpLoggingPolicy(),
            ],
            transport=options["transport"],
        )

    def plain_pipeline(self) -> PipelineClient[Any, Any]:
        """The same transport, retries and name without a credential: for other tokens than ours."""
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import RequestIdPolicy, UserAgentPolicy

        options = self._options()
        return PipelineClient(
            "",
            policies=[
                RequestIdPolicy(),
                UserAgentPolicy(user_agent=options["user_agent"]),
                options["retry_policy"],
            ],
            transport=options["transport"],
        )

    # ---------------------------------------------------------------- resource ids

    def resource_id(self, kind: str, name: str, group: str | None = None) -> str:
        """The id of a resource in the profile's group: kind as "Microsoft.App/jobs"."""
        group = group or self.profile.resource_group
        return (
            f"/subscriptions/{self.endpoints.subscription}/resourceGroups/{group}"
            f"/providers/{kind}/{name}"
        )

    def close(self) -> None:
        """Let go of the connections, of the credential that was made here, too.

        A credential that was given is its giver's to close.
        """
        for name in ("transport", "_reading_transport"):
            if name in self.__dict__:
                self.__dict__[name].close()
        made = self.__dict__.get("credential") if self._credential is None else None
        if made is not None and hasattr(made, "close"):  # azure-identity's have connections
            made.close()


def sdk_name() -> str:
    """What azure-core calls itself; it runs a program, `uname -p`, to put this together."""
    import platform

    from azure.core import __version__

    system = f"{platform.system()}-{platform.release()}-{platform.machine()}"
    return f"azsdk-python-core/{__version__} Python/{platform.python_version()} ({system})"


def retry_policy() -> Any:
    """azure-core's retries (Retry-After honoured), but for two things.

    A `start` is sent again only when the service says it was not taken (429): after a 500 or 504
    it may have been, and a second one would run the job twice. And a service that asks for more
    than a minute is not waited for; the caller is told.
    """
    from azure.core.pipeline.policies import RetryPolicy

    class Retries(RetryPolicy[Any, Any]):
        def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
            answer = response.http_response
            if answer.status_code < 400:
                return False
            if (self.get_retry_after(response) or 0) > LONGEST_RETRY_AFTER:
                return False
            request = response.http_request
            if request.method == "POST" and urlsplit(request.url).path.lower().endswith("/start"):
                return bool(answer.status_code == 429 and settings["total"] > 0)
            return bool(super().is_retry(settings, response))

    return Retries(retry_total=5, retry_connect=2, retry_read=2, retry_status=4)
