"""A program for any AMQP 1.0 broker, with python-qpid-proton: durable messages, the same for each.

Run by itself, as `python -c`; prints `{what: [messages, seconds, the broker's seconds of CPU]}`.
"""

PROTON = """
import json, os, sys, time
import psutil
from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Container
from proton.utils import BlockingConnection

URL, ADDRESS = os.environ["URL"], os.environ["ADDRESS"]
USER, PASSWORD = os.environ["BROKER_USER"], os.environ["BROKER_PASSWORD"]
COUNT, BODY = int(os.environ["COUNT"]), os.urandom(int(os.environ["SIZE"]))
broker = psutil.Process(int(os.environ["BROKER"]))
LOGIN = {"user": USER, "password": PASSWORD, "allowed_mechs": "PLAIN", "sasl_enabled": True}
weighed = {}

def used():
    times = broker.cpu_times()
    return time.perf_counter(), times.user + times.system

def message():
    return Message(body=BODY, durable=True)

class weigh:
    def __init__(self, what, count):
        self.what, self.count = what, count
    def __enter__(self):
        self.before = used()
    def __exit__(self, *_):
        weighed[self.what] = [self.count, *(b - a for a, b in zip(self.before, used()))]

class Sending(MessagingHandler):
    def __init__(self, count):
        super().__init__()
        self.left, self.unsettled, self.began = count, count, None
        self.count = count
    def on_start(self, event):
        connection = event.container.connect(URL, reconnect=False, **LOGIN)
        event.container.create_sender(connection, ADDRESS)
    def on_sendable(self, event):
        self.began = self.began or used()
        while event.sender.credit and self.left:
            event.sender.send(message())
            self.left -= 1
    def on_accepted(self, event):
        self.unsettled -= 1
        if not self.unsettled:
            weighed["send in flight"] = [self.count, *(b - a for a, b in zip(self.began, used()))]
            event.connection.close()
    def on_rejected(self, event):
        sys.exit(f"a message was rejected: {event.delivery.remote.condition}")

class Receiving(MessagingHandler):
    def __init__(self, count):
        super().__init__(prefetch=100, auto_accept=True)
        self.left, self.count, self.began = count, count, None
    def on_start(self, event):
        connection = event.container.connect(URL, reconnect=False, **LOGIN)
        event.container.create_receiver(connection, ADDRESS)
    def on_message(self, event):
        self.began = self.began or used()
        self.left -= 1
        if not self.left:
            weighed["receive, accept each"] = [
                self.count, *(b - a for a, b in zip(self.began, used()))
            ]
            event.receiver.close()
            event.connection.close()

def one_by_one(count):
    connection = BlockingConnection(URL, timeout=60, **{k: LOGIN[k] for k in LOGIN})
    sender = connection.create_sender(ADDRESS)
    sender.send(message())
    with weigh("send one by one", count):
        for _ in range(count):
            sender.send(message())
    receiver = connection.create_receiver(ADDRESS, credit=1)
    receiver.receive(timeout=60)
    receiver.accept()
    with weigh("receive and accept one by one", count):
        for _ in range(count):
            receiver.receive(timeout=60)
            receiver.accept()
    connection.close()

one_by_one(COUNT // 10)
Container(Sending(COUNT)).run()
Container(Receiving(COUNT)).run()
print(json.dumps(weighed))
"""
