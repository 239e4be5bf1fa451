"""Roles obeyed, as unmodified SDKs meet it: Service Bus, Resource Manager, Microsoft Graph."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import uuid
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from azure.core.exceptions import HttpResponseError
from azure.servicebus import ServiceBusMessage, TransportType
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusAuthorizationError

from tests.cloud.wire import Wire
from tests.conftest import CloudInThread, Token

SENDER = "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"
RECEIVER = "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"
OWNER = "090c5cfd-751d-490a-894a-3ce6f1109419"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


class EnforcingCloud(CloudInThread):
    """A local cloud that obeys role assignments."""

    rbac = "enforce"


class As(Token):
    """A credential of a managed identity, as a job's replica has it."""

    def __init__(self, connection: dict[str, Any], client_id: str) -> None:
        super().__init__(connection)
        self._client_id = client_id

    def _fetch(self, scope: str) -> dict[str, Any]:
        query = urlencode(
            {
                "api-version": "2019-08-01",
                "resource": scope.removesuffix("/.default"),
                "client_id": self._client_id,
            }
        )
        request = Request(
            f"{self._identity['endpoint']}?{query}",
            headers={"X-IDENTITY-HEADER": self._identity["header"]},
        )
        with urlopen(request, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
            return answer


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudInThread]:
    made = EnforcingCloud(Path(tmp_path_factory.mktemp("rbac")))
    yield made
    made.stop()


class Lab:
    """A namespace with two queues, and an identity that nobody gave anything yet."""

    def __init__(self, cloud: CloudInThread) -> None:
        self.cloud = cloud
        self.wire = Wire(cloud)
        mark = uuid.uuid4().hex[:8]
        self.group = f"{self.wire.subscription}/resourceGroups/rbac-{mark}"
        self.ask("PUT", self.group, {"location": "westeurope"})
        identity = f"{self.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/worker"
        made = self.ask("PUT", identity, {"location": "westeurope"})["properties"]
        self.principal, self.client_id = made["principalId"], made["clientId"]
        self.name = f"bus-{mark}"
        self.bus = f"{self.group}/providers/Microsoft.ServiceBus/namespaces/{self.name}"
        self.ask("PUT", self.bus, {"location": "westeurope"})
        for queue in ("a", "b"):
            self.ask("PUT", f"{self.bus}/queues/{queue}", {})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.wire.ask(method, path, body)
        assert answer.status < 300, answer.raw
        return answer.body if answer.raw else None

    def give(self, role: str, scope: str) -> str:
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        definition = f"/providers/Microsoft.Authorization/roleDefinitions/{role}"
        body = {"roleDefinitionId": definition, "principalId": self.principal}
        self.ask("PUT", path, {"properties": body})
        return path

    @property
    def credential(self) -> As:
        return As(self.cloud.connection, self.client_id)

    def client(self) -> ServiceBusClient:
        return ServiceBusClient(
            f"{self.name}.servicebus.windows.net",
            Later(self.credential),  # type: ignore[arg-type]
            custom_endpoint_address=f"sb://{self.cloud.connection['service_bus']['amqps']}",
            connection_verify=self.cloud.ca,
            transport_type=TransportType.Amqp,
            retry_total=0,
            retry_backoff_factor=0.0,
        )

    async def send(self, queue: str) -> None:
        async with self.client() as client, client.get_queue_sender(queue) as sender:
            await sender.send_messages(ServiceBusMessage("x"))

    async def receive(self, queue: str) -> int:
        async with self.client() as client, client.get_queue_receiver(queue) as receiver:
            found = await receiver.receive_messages(1, max_wait_time=5)
            for message in found:
                await receiver.complete_message(message)
            return len(found)


class Later:
    """A credential for the SDK's asynchronous clients."""

    def __init__(self, credential: As) -> None:
        self._credential = credential

    async def get_token(self, *scopes: str, **_: Any) -> Any:
        return self._credential.get_token(*scopes)

    async def close(self) -> None:
        pass


@pytest.fixture
def lab(cloud: CloudInThread) -> Lab:
    return Lab(cloud)


async def test_a_sender_and_a_receiver_need_their_roles(lab: Lab) -> None:
    async def outcomes(*work: Coroutine[Any, Any, int | None]) -> list[Any]:
        """What each gives, "Send" or "Listen" where that claim is missing."""
        found = await asyncio.gather(*work, return_exceptions=True)
        return [
            str(it).partition("'")[2].partition("'")[0]
            if isinstance(it, ServiceBusAuthorizationError)
            else it
            for it in found
        ]

    assert await outcomes(lab.send("a"), lab.receive("a")) == ["Send", "Listen"]
    sending = lab.give(SENDER, f"{lab.bus}/queues/a")
    found = await outcomes(lab.send("a"), lab.send("b"), lab.receive("a"))
    assert found == [None, "Send", "Listen"]
    lab.give(RECEIVER, lab.bus)
    lab.ask("DELETE", sending)
    assert await outcomes(lab.receive("a"), lab.send("a")) == [1, "Send"]
    lab.give(OWNER, lab.group)
    assert await outcomes(lab.send("b"), lab.receive("b")) == [None, 1]


def test_administration_needs_the_data_owner(lab: Lab) -> None:
    wire = lab.wire
    wire.token = lab.credential.text("https://servicebus.azure.net")
    host = {"Host": f"{lab.name}.servicebus.localhost"}

    def look(queue: str) -> int:
        return wire.ask("GET", f"/{queue}?api-version=2021-05", headers=host).status

    assert look("a") == 401
    wire.token, own = lab.cloud.credential.text(), wire.token
    lab.give(RECEIVER, lab.bus)
    lab.give(OWNER, f"{lab.bus}/queues/a")
    wire.token = own
    assert (look("a"), look("b")) == (200, 401)


def test_resource_manager_refuses_who_has_no_role(lab: Lab) -> None:
    from azure.mgmt.servicebus import ServiceBusManagementClient

    client = ServiceBusManagementClient(
        lab.credential,  # type: ignore[arg-type]
        lab.cloud.connection["subscription"],
        base_url=lab.cloud.connection["resource_manager"],
        connection_verify=lab.cloud.ca,
        credential_scopes=["https://management.azure.com/.default"],
    )
    group = lab.group.rpartition("/")[2]
    with pytest.raises(HttpResponseError) as caught:
        client.queues.get(group, lab.name, "a")
    assert caught.value.status_code == 403
    assert caught.value.error is not None
    assert caught.value.error.code == "AuthorizationFailed"
    assert "Microsoft.ServiceBus/namespaces/queues/read" in str(caught.value)
    lab.give(READER, lab.group)
    assert client.queues.get(group, lab.name, "a").name == "a"
    with pytest.raises(HttpResponseError, match="AuthorizationFailed"):
        client.queues.delete(group, lab.name, "a")


def test_a_deployment_is_refused_before_it_makes_what_its_caller_may_not(lab: Lab) -> None:
    deployer = "Microsoft.Resources/deployments/*"
    role = f"{lab.group}/providers/Microsoft.Authorization/roleDefinitions/{uuid.uuid4()}"
    permissions = [{"actions": [deployer, "Microsoft.Network/*"]}]
    properties = {"roleName": f"deployer {lab.name}", "permissions": permissions}
    lab.ask("PUT", role, {"properties": properties | {"assignableScopes": [lab.group]}})
    lab.give(role.rsplit("/", 1)[1], lab.group)
    lab.wire.token = lab.credential.text()
    dashboard = {
        "type": "Microsoft.Portal/dashboards",
        "apiVersion": "2022-12-01-preview",
        "name": "board",
        "location": "westeurope",
    }
    zone = {
        "type": "Microsoft.Network/privateDnsZones",
        "apiVersion": "2024-06-01",
        "name": "zone.example",
        "location": "global",
    }
    template = {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [zone, dashboard],
    }
    path = f"{lab.group}/providers/Microsoft.Resources/deployments/d"
    body = {"properties": {"mode": "Incremental", "template": template}}
    answer = lab.wire.ask("PUT", path, body)
    assert (answer.status, answer.error["code"]) == (400, "InvalidTemplateDeployment")
    told = (
        "Authorization failed for template resource 'board' of type 'Microsoft.Portal/dashboards'"
    )
    assert told in answer.error["message"]
    assert "'Microsoft.Portal/dashboards/write' at scope" in answer.error["message"]
    assert "zone.example" not in answer.error["message"]
    assert lab.wire.ask("GET", path).status == 404
    template["resources"] = [zone]
    assert lab.wire.ask("PUT", path, body).status == 201


def test_a_log_query_needs_a_role_on_its_workspace(lab: Lab) -> None:
    wire = lab.wire
    path = f"{lab.group}/providers/Microsoft.OperationalInsights/workspaces/logs"
    workspace = lab.ask("PUT", path, {"location": "westeurope"})["properties"]["customerId"]
    owner, own = wire.token, lab.credential.text("https://api.loganalytics.io")
    body = {"query": "print x = 1"}

    def status() -> int:
        wire.token = own
        answer = wire.ask("POST", f"/v1/workspaces/{workspace}/query", body)
        wire.token = owner
        if answer.status != 200:
            assert answer.error["code"] == "InsufficientAccessError"
        return answer.status

    assert status() == 403
    lab.give(READER, path)
    assert status() == 200


def test_graph_tells_who_there_is(lab: Lab) -> None:
    wire = lab.wire
    wire.token = lab.cloud.credential.text("https://graph.microsoft.com")
    query = f"$filter=servicePrincipalNames/any(c:c%20eq%20'{lab.client_id}')"
    found = wire.ask("GET", f"/v1.0/servicePrincipals?{query}").body["value"]
    assert [item["id"] for item in found] == [lab.principal]
    body = {"ids": [lab.principal, str(uuid.uuid4())], "types": ["user", "servicePrincipal"]}
    by_ids = wire.ask("POST", "/v1.0/directoryObjects/getByIds", body).body["value"]
    assert [item["displayName"] for item in by_ids] == ["worker"]
    assert by_ids[0]["@odata.type"] == "#microsoft.graph.servicePrincipal"
    me = wire.ask("GET", "/v1.0/me").body
    assert wire.ask("GET", f"/v1.0/users/{me['userPrincipalName']}").body == me
    missing = wire.ask("GET", f"/v1.0/users/{uuid.uuid4()}")
    assert (missing.status, missing.error["code"]) == (404, "Request_ResourceNotFound")
    assert wire.ask("DELETE", f"/v1.0/users/{me['id']}").status == 403
    wire.token = None
    assert wire.ask("GET", "/v1.0/me").status == 401


def test_messages_over_http_need_the_same_roles(lab: Lab) -> None:
    def ask(path: str, body: bytes = b"") -> tuple[int, str]:
        token = lab.credential.get_token("https://servicebus.azure.net/.default").token
        connection = http.client.HTTPSConnection(
            lab.cloud.connection["resource_manager"].removeprefix("https://"),
            timeout=30,
            context=ssl.create_default_context(cafile=lab.cloud.ca),
        )
        headers = {
            "Host": f"{lab.name}.servicebus.windows.net",
            "Authorization": f"Bearer {token}",
        }
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    receive = "/a/messages/head?timeout=0"
    status, text = ask("/a/messages", b"x")
    assert (status, "'Send' claim(s) are required" in text) == (401, True)
    lab.give(SENDER, f"{lab.bus}/queues/a")
    assert ask("/a/messages", b"x")[0] == 201
    assert ask("/b/messages", b"x")[0] == 401
    status, text = ask(receive)
    assert (status, "'Listen' claim(s) are required" in text) == (401, True)
    lab.give(RECEIVER, f"{lab.bus}/queues/a")
    assert ask(receive) == (201, "x")
    assert ask("/a/$DeadLetterQueue/messages/head?timeout=0")[0] == 204
