"""Whatever a file says, it is either right or refused with a reason; never a crash."""

from __future__ import annotations

import math
import string
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import SettingsError
from orchestrator.settings import check
from orchestrator.settings import tables as types

TABLES = (
    types.Settings,
    types.ProfileSpec,
    types.QueueSpec,
    types.ImageSpec,
    types.JobSpec,
    types.Scale,
    types.ScaleRule,
    types.RuleAuth,
    types.SecretSource,
    types.SecretRef,
)
KEYS = sorted({field for table in TABLES for field in table.__struct_fields__})
WORDS = [
    *KEYS, "", "manual", "event", "schedule", "local", "azure", "* * * * *", "10m", "0.5Gi", "1GiB",
    "${servicebus}", "${x", "a", "sender",
]  # fmt: skip

scalars = (
    st.sampled_from(WORDS)
    | st.text(string.printable, max_size=12)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.just(date(2026, 1, 1))
    | st.just(datetime(2026, 1, 1, tzinfo=UTC))
)
keys = st.sampled_from(WORDS) | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=12,
)
jobs = st.dictionaries(
    st.sampled_from(["sender", "se--nder", "a", "receiver"]),
    st.fixed_dictionaries(
        {"trigger": st.sampled_from(["manual", "schedule", "event"]), "image": st.just("x")},
        optional=dict.fromkeys(types.JobSpec.__struct_fields__[2:], values),
    ),
    max_size=2,
)
files = st.dictionaries(keys, values, max_size=4) | st.fixed_dictionaries(
    {"jobs": jobs}, optional={"queues": values, "profiles": values, "default_profile": scalars}
)


def outcome(data: dict[str, Any]) -> types.Settings | SettingsError:
    try:
        return check(data, Path("/project/orchestrator.toml"))
    except SettingsError as error:
        return error


@given(files)
@settings(max_examples=200)
def test_any_file_is_right_or_refused_with_its_reasons(data: dict[str, Any]) -> None:
    read = outcome(data)
    if isinstance(read, SettingsError):
        assert read.problems
        assert all(problem.where and problem.what for problem in read.problems)
        return
    for job in read.jobs.values():
        assert job.cpu > 0
        assert not math.isnan(job.cpu)
        assert job.timeout.total_seconds() >= 1
