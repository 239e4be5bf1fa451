"""A queue's properties on the wire of Resource Manager."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.service_bus.properties import (
    arm_error,
    moment,
    parse_duration,
    read_properties,
    write_settings,
)
from orchestrator.localcloud.servicebus.errors import (
    BrokerError,
    EntityNotFound,
    InvalidOperation,
    StoreFull,
)
from orchestrator.localcloud.servicebus.limits import FOREVER
from orchestrator.localcloud.servicebus.model import EntityStatus, QueueProperties


def test_a_duration_that_is_none_is_refused_as_service_bus_words_it() -> None:
    with pytest.raises(ArmError, match=r"SubCode=40000\. The value 300 of the property") as refused:
        parse_duration(300, "lockDuration")
    assert refused.value.target == "lockDuration"
    assert refused.value.status == 400


_properties = st.builds(
    QueueProperties,
    lock_duration=st.integers(5, 300).map(float),
    max_delivery_count=st.integers(1, 2000),
    default_message_ttl=st.integers(1, 10**9).map(float) | st.just(FOREVER),
    requires_session=st.booleans(),
    requires_duplicate_detection=st.booleans(),
    duplicate_detection_window=st.integers(20, 604800).map(float),
    dead_letter_on_expiration=st.booleans(),
    max_size_in_megabytes=st.sampled_from([1024, 5120]),
    max_message_size_in_kilobytes=st.none() | st.integers(1, 102400),
    status=st.sampled_from(EntityStatus),
    forward_to=st.none() | st.just("other"),
    forward_dead_letters_to=st.none() | st.just("graves"),
    auto_delete_on_idle=st.integers(300, 10**9).map(float) | st.just(FOREVER),
    enable_batched_operations=st.booleans(),
    enable_partitioning=st.booleans(),
    enable_express=st.booleans(),
)


@given(_properties)
def test_settings_survive_the_wire_and_are_never_null(properties: QueueProperties) -> None:
    body = write_settings(properties)
    assert None not in body.values()
    assert read_properties(body, None) == properties
    assert read_properties(body, properties) == properties


def test_what_is_left_out_has_its_default_but_what_is_fixed() -> None:
    old = QueueProperties(requires_session=True, lock_duration=10.0)
    assert read_properties({}, None) == QueueProperties()
    assert read_properties({}, old) == QueueProperties(requires_session=True)


def test_moments_are_utc_with_milliseconds() -> None:
    assert moment(1767225600.1239) == "2026-01-01T00:00:00.123Z"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (InvalidOperation("no"), 400, "BadRequest"),
        (EntityNotFound("no"), 404, "NotFound"),
        (StoreFull("no"), 507, "InsufficientStorage"),
    ],
)
def test_a_brokers_refusal_is_the_resource_managers(
    error: BrokerError, status: int, code: str
) -> None:
    made = arm_error(error)
    assert (made.status, made.code) == (status, code)
