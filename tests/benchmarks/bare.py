"""Programs that do the same with Microsoft's SDKs and nothing else: what a measurement stands
beside. Each is run by itself, as `python -c`."""

IMPORTS = "from azure.mgmt.appcontainers import ContainerAppsAPIClient"

EXECUTIONS = """
import os
from azure.identity import ManagedIdentityCredential
from azure.mgmt.appcontainers import ContainerAppsAPIClient
manager = os.environ["AZURE_RESOURCE_MANAGER_ENDPOINT"]
client = ContainerAppsAPIClient(
    ManagedIdentityCredential(),
    os.environ["AZURE_SUBSCRIPTION_ID"],
    base_url=manager,
    credential_scopes=["https://management.azure.com/.default"],
    connection_verify=os.environ["SSL_CERT_FILE"],
)
group = "local"
for job in client.jobs.list_by_resource_group(group):
    for execution in client.jobs_executions.list(group, job.name):
        print(execution.name, execution.properties.status, execution.properties.start_time)
"""

_SERVICE_BUS = """
import asyncio, os, sys, time
from azure.identity.aio import DefaultAzureCredential
from azure.servicebus import ServiceBusMessage, TransportType
from azure.servicebus.aio import ServiceBusClient

def client(credential):
    return ServiceBusClient(
        os.environ["FULLY_QUALIFIED_NAMESPACE"],
        credential,
        custom_endpoint_address=os.environ["SERVICE_BUS_CUSTOM_ENDPOINT"],
        connection_verify=os.environ["SERVICE_BUS_CA_BUNDLE"],
        transport_type=TransportType.Amqp,
    )
"""

# Without message ids and without a line for each message; a thousand messages to a call.
SEND = (
    _SERVICE_BUS
    + """
async def main(count):
    async with DefaultAzureCredential() as credential, client(credential) as bus:
        async with bus.get_queue_sender(os.environ["INPUT_QUEUE_NAME"]) as sender:
            began = time.perf_counter()
            for _ in range(count // 1000):
                await sender.send_messages([ServiceBusMessage("7") for _ in range(1000)])
            print(time.perf_counter() - began)

asyncio.run(main(int(os.environ["MESSAGE_COUNT"])))
"""
)

# Receives, sends an answer for each message, completes; no computation, no ids, no lines.
PROCESS = (
    _SERVICE_BUS
    + """
async def main(count):
    async with DefaultAzureCredential() as credential, client(credential) as bus:
        sender = bus.get_queue_sender(os.environ["OUTPUT_QUEUE_NAME"])
        receiver = bus.get_queue_receiver(os.environ["INPUT_QUEUE_NAME"])
        async with sender, receiver:
            began = time.perf_counter()
            while count > 0:
                messages = await receiver.receive_messages(1000, max_wait_time=5)
                await sender.send_messages([ServiceBusMessage("8") for _ in messages])
                await asyncio.gather(*map(receiver.complete_message, messages))
                count -= len(messages)
            print(time.perf_counter() - began)

asyncio.run(main(int(os.environ["MESSAGE_COUNT"])))
"""
)
