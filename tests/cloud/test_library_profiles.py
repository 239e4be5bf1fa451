"""One code path: what a profile on Azure sends is what a local one sends, but for host and token.

The same program runs twice, each time against a local cloud of its own. The first time through a
profile of kind `local`. The second time through one of kind `azure`, with public Azure's own
endpoints: a transport that stands where the network begins carries each request to the local cloud
instead, and the answer back with Azure's host in it. Both transports write down every request as
the SDKs hand it over. Nothing of the library itself is replaced.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import psutil
import pytest
from azure.core.pipeline.transport import RequestsTransport

from orchestrator.azure.clients import Clients
from orchestrator.azure.profile import reach, resolve
from orchestrator.client import Orchestrator
from orchestrator.settings import ProfileSpec, Settings, load
from tests.cloud.library_world import SETTINGS, make_project
from tests.conftest import CloudInThread

PUBLIC = {
    "resource_manager": "https://management.azure.com",
    "logs": "https://api.loganalytics.io",
}
NAMES = {
    "resource_group": "rg-same",
    "location": "westeurope",
    "environment": "cae-same",
    "namespace": "sb-same",
    "identity": "id-same",
    "workspace": "log-same",
    "registry": "acrsame.azurecr.io",
}
JOBS = SETTINGS.replace('image = "talker"', 'image = "talker:1.0"')

# Who asks and when; all other headers must be the same.
_PERSONAL = {"authorization", "host", "date", "x-ms-client-request-id", "x-ms-date"}


class Request(msgspec.Struct, frozen=True):
    """One request as the SDK handed it to the transport, less its host."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: str


class Recorder(RequestsTransport):
    """The real transport, writing down what passes; `hosts`: public address -> local one."""

    def __init__(self, hosts: dict[str, str], **options: Any) -> None:
        super().__init__(use_env_settings=False, **options)
        self._hosts = hosts
        self.requests: list[Request] = []
        self.addressed: set[str] = set()
        self.tokens: set[str] = set()

    def send(self, request: Any, **options: Any) -> Any:
        parts = urlsplit(request.url)
        self.addressed.add(f"{parts.scheme}://{parts.netloc}")
        self.tokens.add(request.headers.get("Authorization", ""))
        headers = {k.lower(): v for k, v in request.headers.items()}
        body = request.content
        self.requests.append(
            Request(
                request.method,
                parts.path,
                tuple(sorted(parse_qsl(parts.query, keep_blank_values=True))),
                tuple(sorted((k, v) for k, v in headers.items() if k not in _PERSONAL)),
                body.decode() if isinstance(body, bytes) else body or "",
            )
        )
        public = f"{parts.scheme}://{parts.netloc}"
        if public not in self._hosts:
            return super().send(request, **options)
        written = request.url
        request.url = written.replace(public, self._hosts[public], 1)
        try:
            answer = super().send(request, **options)
        finally:
            request.url = written
        for header in ("Location", "Azure-AsyncOperation"):
            if header in answer.headers:
                answer.headers[header] = answer.headers[header].replace(self._hosts[public], public)
        return answer


class LocalToken:
    """Stands for DefaultAzureCredential: any source of a token that the other side accepts."""

    def __init__(self, cloud: CloudInThread) -> None:
        self._cloud = cloud
        self.scopes: set[str] = set()

    def get_token(self, *scopes: str, **_: Any) -> Any:
        self.scopes.update(scopes)
        return self._cloud.credential.get_token(*scopes)


_MADE_UP = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # subscriptions, clients, principals, roles
    r"|(?<=executions/)(?:talker|pair)-[a-z0-9]{7}|(?:talker|pair)-[a-z0-9]{7}-[a-z0-9]+"
    r"|(?<=replicas/)[a-z0-9-]+|(?<=\"sharedKey\": \")[^\"]+"
)


def text_of(request: Request) -> str:
    return msgspec.json.encode(request).decode()


class Side:
    """One of the two: a cloud, a profile, what was sent."""

    def __init__(self, folder: Path, kind: str) -> None:
        path = make_project(folder, JOBS)
        self.cloud = CloudInThread(folder / "state", folder)
        settings = load(path)
        connection = self.cloud.connection
        transport = {"connection_verify": connection["ca_bundle"]}
        self.token = LocalToken(self.cloud)
        if kind == "local":
            spec = ProfileSpec(kind="local", state=str(folder / "state"), **NAMES)  # type: ignore[arg-type]
            self.recorder = Recorder({}, **transport)
            credential: Any = None
        else:
            spec = ProfileSpec(kind="azure", subscription=connection["subscription"], **NAMES)  # type: ignore[arg-type]
            hosts = {PUBLIC[name]: connection[name] for name in PUBLIC}
            self.recorder = Recorder(hosts, **transport)
            credential = self.token
        self.settings: Settings = msgspec.structs.replace(
            settings, profiles={kind: spec}, default_profile=kind
        )
        profile = resolve(self.settings, environ={})
        self.endpoints = reach(profile)
        clients = Clients(profile, credential=credential, transport=self.recorder)
        self.orc = Orchestrator(self.settings, profile, clients=clients)
        self.names: dict[str, str] = {}
        self.made: list[Request] = []

    def sent(self, call: Callable[[Orchestrator], Any]) -> list[Request]:
        """The requests of one call, in order; looks repeated while waiting are one."""
        self.recorder.requests.clear()
        call(self.orc)
        requests = [self._anonymous(r) for r in self.recorder.requests]
        return [r for i, r in enumerate(requests) if i == 0 or r != requests[i - 1]]

    def _anonymous(self, request: Request) -> Request:
        """What the two clouds make up by themselves, named by order of appearance."""

        def named(match: re.Match[str]) -> str:
            return self.names.setdefault(match[0], f"<made up {len(self.names)}>")

        def anonymous(text: str) -> str:
            # Operations are polled side by side, so their order says nothing.
            text = re.sub(r"(operation(?:Results|Statuses))/[^/?]+", r"\1/<operation>", text)
            return _MADE_UP.sub(named, text)

        return msgspec.structs.replace(
            request, path=anonymous(request.path), body=anonymous(request.body)
        )

    def close(self) -> None:
        self.orc.close()
        self.cloud.stop()


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    both = tuple(Side(tmp_path_factory.mktemp(kind), kind) for kind in ("local", "azure"))
    for side in both:
        side.made = side.sent(lambda orc: orc.up())
        side.sent(lambda orc: orc.start("talker").wait(30))
        side.sent(lambda orc: orc.query("print 1"))
    yield both[0], both[1]
    for side in both:
        side.close()


def same(sides: tuple[Side, Side], call: Callable[[Orchestrator], Any]) -> list[Request]:
    """Both send the same for this call, which sends something at all."""
    local, azure = (side.sent(call) for side in sides)
    assert local
    assert [(r.method, r.path) for r in local] == [(r.method, r.path) for r in azure]
    assert local == azure
    return local


def test_up_from_nothing_sends_the_same(sides: tuple[Side, Side]) -> None:
    local, azure = (side.made for side in sides)
    # The jobs are made side by side, so the looks at how far they are come as they come.
    assert {text_of(r) for r in local} == {text_of(r) for r in azure}
    assert [r for r in local if r.method != "GET"] == [r for r in azure if r.method != "GET"]
    puts = [r.path.rpartition("/providers/")[2] for r in local if r.method == "PUT"]
    # Everything was made, not only looked at: the group, the template, the jobs.
    assert [p.rpartition("/")[2] for p in puts[1:]] == [
        "infra",
        "talker",
        "pair",
        "nightly",
        "drain",
    ]
    jobs = [json.loads(r.body) for r in local if r.method == "PUT" and "/jobs/" in r.path]
    images = {j["properties"]["template"]["containers"][0]["image"] for j in jobs}
    assert images == {"acrsame.azurecr.io/talker:1.0"}


def changed(orc: Orchestrator) -> None:
    """Deploy with another variable, then as it was."""
    talker = orc.settings.jobs["talker"]
    env = {**talker.env, "MORE": "${servicebus}"}
    jobs = {**orc.settings.jobs, "talker": msgspec.structs.replace(talker, env=env)}
    before = orc.settings
    try:
        orc.settings = msgspec.structs.replace(before, jobs=jobs)
        assert orc.deploy("talker")[0].action == "updated"
    finally:
        orc.settings = before
    assert orc.deploy("talker")[0].action == "updated"


def start_and_stop(orc: Orchestrator) -> None:
    run = orc.start("talker", env={"SLEEP": "60"}, args=["x"])
    assert run.stop().status == "Stopped"


def fail(orc: Orchestrator) -> None:
    from orchestrator.errors import OrchestratorError

    for call in (lambda: orc.job("talkr"), lambda: orc.query("T |"), lambda: orc.start("x")):
        with pytest.raises(OrchestratorError):
            call()


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda o: o.up(), id="up again"),
        pytest.param(lambda o: o.deploy(), id="deploy"),
        pytest.param(changed, id="deploy a change"),
        pytest.param(lambda o: o.start("talker").wait(30), id="start"),
        pytest.param(start_and_stop, id="start with changes, stop"),
        pytest.param(lambda o: o.stop_all("talker"), id="stop all"),
        pytest.param(lambda o: o.executions("talker"), id="list the executions of a job"),
        pytest.param(lambda o: o.execution("talker@latest"), id="show the latest"),
        pytest.param(lambda o: o.jobs(), id="list the jobs"),
        pytest.param(lambda o: o.job("pair"), id="show a job"),
        pytest.param(lambda o: (o.suspend("pair"), o.resume("pair")), id="suspend and resume"),
        pytest.param(lambda o: o.logs("talker", since=None, grep="line"), id="logs"),
        pytest.param(lambda o: o.query("ContainerAppConsoleLogs_CL | count"), id="query"),
        pytest.param(lambda o: o.queues(), id="queues"),
        pytest.param(fail, id="failures"),
    ],
)
def test_each_verb_sends_the_same(
    sides: tuple[Side, Side], call: Callable[[Orchestrator], Any]
) -> None:
    same(sides, call)


def test_verbs_that_ask_side_by_side_send_the_same(sides: tuple[Side, Side]) -> None:
    """Over all jobs, and while following: the order is chance, the requests are not."""
    for call in (
        lambda o: o.executions(),
        lambda o: o.status(),
        lambda o: list(o.start("talker", env={"LINES": "2", "SLEEP": "1"}).follow()),
    ):
        local, azure = ({text_of(r) for r in side.sent(call)} for side in sides)
        assert local == azure
    assert any("/logstream" in r.path for r in sides[0].recorder.requests)


def test_deleting_sends_the_same(sides: tuple[Side, Side]) -> None:
    same(sides, lambda orc: orc.delete_job("nightly"))


def test_the_hosts_and_the_tokens_differ_and_are_the_profiles(sides: tuple[Side, Side]) -> None:
    local, azure = sides
    assert azure.recorder.addressed >= set(PUBLIC.values())
    assert not any("azure.com" in host for host in local.recorder.addressed)
    assert azure.token.scopes == {
        "https://management.azure.com/.default",
        "https://api.loganalytics.io/.default",
    }
    assert not local.recorder.tokens & azure.recorder.tokens - {""}
    for side in sides:
        agents = {dict(r.headers)["user-agent"] for r in side.recorder.requests}
        assert all(agent.startswith("aca-orchestrator/") for agent in agents)


def test_what_asked_azure_for_tokens_is_closed_with_the_rest(
    cloud: CloudInThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile on Azure makes a DefaultAzureCredential, which has connections of its own."""
    identity = cloud.connection["identity"]
    monkeypatch.setenv("IDENTITY_ENDPOINT", identity["endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", identity["header"])

    def kept() -> set[int]:
        """The ports of this process that are connected to that endpoint."""
        port = urlsplit(identity["endpoint"]).port
        links = psutil.Process().net_connections("tcp")
        return {one.laddr.port for one in links if one.raddr and one.raddr.port == port}

    before = kept()
    spec = ProfileSpec(kind="azure", subscription=cloud.connection["subscription"], **NAMES)  # type: ignore[arg-type]
    settings = Settings(profiles={"azure": spec}, default_profile="azure")
    clients = Clients(resolve(settings, environ={}))
    assert clients.credential.get_token("https://management.azure.com/.default").token
    assert kept() - before
    clients.close()
    assert not kept() - before
