"""A cloud with one namespace, for the tests of its administration."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

from azure.mgmt.servicebus.models import SBNamespace, SBSku

from tests.cloud.test_arm_service_bus import GROUP, group_path, rest, sdk
from tests.conftest import CloudInThread

NAMESPACE = f"admin-{uuid.uuid4().hex[:8]}"


class World:
    """A namespace of the cloud, and where it is administered."""

    def __init__(self, cloud: CloudInThread, key: str, messaging: str) -> None:
        self.cloud = cloud
        self.address = cloud.connection["resource_manager"].removeprefix("https://")
        self.key = key
        self.messaging = messaging

    def connection_string(self, rule: str = "RootManageSharedAccessKey", key: str = "") -> str:
        return (
            f"Endpoint=sb://{self.address}/;SharedAccessKeyName={rule};"
            f"SharedAccessKey={key or self.key}"
        )


def alone(folder: Path) -> Iterator[World]:
    """A cloud with this namespace only: on loopback the address alone does not name one."""
    cloud = CloudInThread(folder)
    try:
        rest(cloud, "PUT", group_path(cloud), {"location": "westeurope"})
        with sdk(cloud) as client:
            client.namespaces.begin_create_or_update(
                GROUP, NAMESPACE, SBNamespace(location="westeurope", sku=SBSku(name="Standard"))
            ).result()
            keys = client.namespaces.list_keys(GROUP, NAMESPACE, "RootManageSharedAccessKey")
        assert keys.primary_key is not None
        assert keys.primary_connection_string is not None
        yield World(cloud, keys.primary_key, keys.primary_connection_string)
    finally:
        cloud.stop()
