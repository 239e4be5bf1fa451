"""Programs that send and receive with `azure-servicebus` and weigh both ends of the wire: their own
CPU time against the broker's, over the same messages. Each is run by itself, as `python -c`, and
prints `{what: [messages, the client's seconds of CPU, the broker's in its own code, the broker's in
the kernel, seconds in all]}` as JSON."""

_WEIGHING = """
import asyncio, json, os, sys, time
import psutil
from azure.servicebus import ServiceBusClient, ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient

QUEUE = os.environ["QUEUE"]
CONNECTION = os.environ["CONNECTION_STRING"]
COUNT = int(os.environ["COUNT"])
BODY = os.urandom(int(os.environ["SIZE"]))
broker = psutil.Process(int(os.environ["BROKER"]))
weighed = {}

def used():
    times = broker.cpu_times()
    return time.process_time(), times.user, times.system, time.perf_counter()

class weigh:
    def __init__(self, what, count):
        self.what, self.count = what, count
    def __enter__(self):
        self.before = used()
    def __exit__(self, *_):
        weighed[self.what] = [self.count, *(b - a for a, b in zip(self.before, used()))]

def messages(count):
    return [ServiceBusMessage(BODY) for _ in range(count)]
"""

SYNC = (
    _WEIGHING
    + """
with ServiceBusClient.from_connection_string(CONNECTION) as client:
    with client.get_queue_sender(QUEUE) as sender:
        sender.send_messages(messages(10))
        with weigh("send one by one", COUNT // 10):
            for _ in range(COUNT // 10):
                sender.send_messages(ServiceBusMessage(BODY))
        with weigh("send lists of 100", COUNT):
            for _ in range(COUNT // 100):
                sender.send_messages(messages(100))
    with client.get_queue_receiver(QUEUE) as receiver:
        for message in receiver.receive_messages(10, max_wait_time=5):
            receiver.complete_message(message)
        left = COUNT // 2
        with weigh("receive 100, complete each", left):
            while left > 0:
                for message in receiver.receive_messages(min(100, left), max_wait_time=5):
                    receiver.complete_message(message)
                    left -= 1
    with client.get_queue_receiver(QUEUE, receive_mode="receiveanddelete") as receiver:
        left = COUNT // 2 + COUNT // 10
        with weigh("receive and delete", left):
            while left > 0:
                left -= len(receiver.receive_messages(500, max_wait_time=5))
print(json.dumps(weighed))
"""
)

AIO = (
    _WEIGHING
    + """
async def main():
    async with AsyncServiceBusClient.from_connection_string(CONNECTION) as client:
        async with client.get_queue_sender(QUEUE) as sender:
            await sender.send_messages(messages(10))
            with weigh("aio: send lists of 500", COUNT):
                for _ in range(COUNT // 500):
                    await sender.send_messages(messages(500))
        async with client.get_queue_receiver(QUEUE) as receiver:
            for message in await receiver.receive_messages(10, max_wait_time=5):
                await receiver.complete_message(message)
            left = COUNT // 2
            with weigh("aio: receive 100, complete each", left):
                while left > 0:
                    for message in await receiver.receive_messages(min(100, left), max_wait_time=5):
                        await receiver.complete_message(message)
                        left -= 1
            left = COUNT // 2
            with weigh("aio: receive 500, complete together", left):
                while left > 0:
                    found = await receiver.receive_messages(min(500, left), max_wait_time=5)
                    await asyncio.gather(*map(receiver.complete_message, found))
                    left -= len(found)
asyncio.run(main())
print(json.dumps(weighed))
"""
)
