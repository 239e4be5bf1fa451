"""What a start request may send, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.localcloud.runtime.job import read_job
from orchestrator.localcloud.runtime.model import RuntimeFault
from orchestrator.localcloud.runtime.template import execution_template, memory_bytes
from tests.unit.runtime.doubles import job_resource

OWN = {"name": "main", "image": "own:1", "env": [{"name": "A", "value": "1"}]}


def template(override: dict[str, Any] | None, **kwargs: Any) -> dict[str, Any]:
    return execution_template(read_job(job_resource(containers=[OWN], **kwargs)), override)


@pytest.mark.parametrize("override", [None, {}, {"containers": []}, {"template": {}}])
def test_nothing_sent_means_the_jobs_own(override: dict[str, Any] | None) -> None:
    assert template(override) == {"containers": [OWN]}


@pytest.mark.parametrize("wrap", [False, True])
def test_the_body_may_be_bare_or_inside_template(wrap: bool) -> None:
    body = {"containers": [{"name": "main", "image": "sent:1"}]}
    assert template({"template": body} if wrap else body) == body


def test_init_containers_not_sent_are_gone() -> None:
    sent = {"containers": [{"name": "main", "image": "sent:1"}]}
    assert template(sent, init=[{"name": "first", "image": "i"}]) == sent


def test_nulls_say_nothing() -> None:
    sent = {
        "containers": [
            {"name": "main", "image": "i", "env": None, "command": None, "resources": {"cpu": None}}
        ],
        "initContainers": None,
    }
    assert template(sent) == {"containers": [{"name": "main", "image": "i", "resources": {}}]}


def test_a_container_without_a_name_has_the_jobs() -> None:
    assert template({"containers": [{"image": "i"}]})["containers"][0]["name"] == "sender"


def test_a_container_without_an_image_is_refused() -> None:
    with pytest.raises(RuntimeFault, match="must have an 'Image' property") as fault:
        template({"containers": [{"name": "main", "env": []}]})
    assert (fault.value.code, fault.value.status) == ("ContainerAppImageRequired", 400)


@pytest.mark.parametrize(
    ("containers", "why"),
    [
        ("x", "list of containers"),
        (["x"], "has to be an object"),
        ([{"name": 7, "image": "i"}], "not a text"),
        ([{"name": "../c", "image": "i"}], "Invalid container name '../c': it must consist of"),
        ([{"name": "a", "image": "i"}, {"name": "a", "image": "i"}], "Two containers"),
        ([{"image": "i", "args": "x"}], "'args' of container 'sender'"),
        ([{"image": "i", "command": [1]}], "'command' of container 'sender'"),
        ([{"image": "i", "env": {"A": "1"}}], "'env' of container 'sender'"),
    ],
)
def test_what_is_no_template_is_refused(containers: Any, why: str) -> None:
    with pytest.raises(RuntimeFault, match=why) as fault:
        template({"containers": containers})
    assert fault.value.status == 400


def test_init_containers_alone_are_no_template() -> None:
    with pytest.raises(RuntimeFault, match="at least one entry in 'containers'"):
        template({"initContainers": [{"name": "first", "image": "i"}]})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0.5Gi", 512 * 1024**2),
        ("1Gi", 1024**3),
        ("250Mi", 250 * 1024**2),
        ("1G", 10**9),
        ("1024", 1024),
        (None, None),
        ("much", None),
    ],
)
def test_memory_is_read_in_kubernetes_units(text: str | None, size: int | None) -> None:
    assert memory_bytes(text) == size


@pytest.mark.parametrize(
    ("key", "value"), [("replicaTimeout", 0), ("replicaRetryLimit", -1), ("replicaTimeout", "soon")]
)
def test_numbers_that_cannot_be_are_refused_by_name(key: str, value: Any) -> None:
    resource = job_resource()
    resource["properties"]["configuration"][key] = value
    with pytest.raises(RuntimeFault, match=key):
        read_job(resource)


def test_a_job_without_configuration_is_manual_and_runs_one_replica() -> None:
    job = read_job({"id": "/x/jobs/a", "name": "a", "properties": {}})
    assert (job.trigger, job.parallelism, job.completions, job.retry_limit, job.timeout) == (
        "Manual",
        1,
        1,
        0,
        None,
    )
    with pytest.raises(RuntimeFault, match="no container"):
        execution_template(job, None)
