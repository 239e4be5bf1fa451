"""`[alerts]` and `[action_groups]`: what belongs together, and what is made of it."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.alerts.body import differences, every, metric_alert, query_rule
from orchestrator.errors import SettingsError
from orchestrator.settings import Settings, check

BASE = """
[profiles.local]
kind = "local"
[queues.q]
[jobs.sender]
trigger = "manual"
image = "x"
[action_groups.on-call]
emails = ["a@example.org"]
"""


def read(text: str) -> Settings:
    return check(tomllib.loads(BASE + text), Path("/p/orchestrator.toml"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('when = "failed"', 'alerts.a.job: it is missing: "failed" watches a job'),
        ('when = "failed"\njob = "sendr"', "Did you mean sender"),
        ('when = "failed"\njob = "sender"\nqueue = "q"', "watches a job, not a queue"),
        ('when = "no-success"\njob = "sender"', "alerts.a.within: it is missing"),
        ('when = "depth"\nqueue = "q"', "alerts.a.above: it is missing"),
        ('when = "stalled"\nqueue = "q"\nwithin = "10m"', "10m is not possible"),
        ('when = "failed"\njob = "sender"\nseverity = 7', "severity"),
        ('when = "failed"\njob = "sender"\nwithin = "5m"\nevery = "15m"', "longer than"),
        ('when = "failed"\njob = "sender"\naction_groups = ["on-cal"]', "on-call"),
        ('when = "broken"\njob = "sender"', "not allowed"),
        ('when = "failed"\njob = "sender"\nabove = 1', "no number that may be"),
    ],
)
def test_what_does_not_belong_together_is_said(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(f"[alerts.a]\n{text}")
    assert said.lower() in caught.value.message.lower()


@pytest.mark.parametrize(
    "text",
    [
        "[action_groups.nobody]",
        '[action_groups.a]\nwebhooks = [{ url = "ftp://x/y" }]',
        '[action_groups.a]\nwebhooks = [{ url = "https://x/y", url_env = "X" }]',
        "[action_groups.a]\nwebhooks = [{}]",
        '[action_groups.a]\nemails = ["nobody"]',
        '[action_groups.a]\nsms = ["0170"]',
        '[action_groups.a]\nshort_name = "much too long a name"\nemails = ["a@b"]',
    ],
)
def test_a_group_that_can_tell_nobody_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        read(text)


def test_how_often_is_chosen_by_how_much_is_looked_at() -> None:
    found = read(
        '[alerts.a]\nwhen = "no-success"\njob = "sender"\nwithin = "1d"\n'
        '[alerts.b]\nwhen = "failed"\njob = "sender"\nwithin = "1m"\n'
        '[alerts.c]\nwhen = "stalled"\nqueue = "q"\nwithin = "1h"\n'
    ).alerts
    assert every(found["a"]) == timedelta(minutes=15)
    assert every(found["b"]) == timedelta(minutes=1)
    assert every(found["c"]) == timedelta(minutes=1)


def test_names_stay_values_in_the_query() -> None:
    alert = read('[alerts.a]\nwhen = "failed"\njob = "sender"').alerts["a"]
    import msgspec

    nasty = msgspec.structs.replace(alert, job="x' or true or 'y")
    body = query_rule(nasty, location="here", workspace="/w", groups=[], tags={})
    [condition] = body["properties"]["criteria"]["allOf"]
    assert "JobName_s == 'x\\' or true or \\'y'" in condition["query"]


def test_a_resource_differs_only_where_the_settings_say_something() -> None:
    alert = read('[alerts.a]\nwhen = "depth"\nqueue = "q"\nabove = 3').alerts["a"]
    wanted = metric_alert(alert, namespace="/Ns", groups=["/g"], tags={"t": "p"})
    live = {
        "tags": {"t": "p", "others": "x"},
        "properties": {**wanted["properties"], "scopes": ["/NS"], "lastUpdatedTime": "now"},
    }
    assert differences(live, wanted) == ()
    live["properties"]["severity"] = 4
    live["tags"] = {}
    assert [str(f) for f in differences(live, wanted)] == [
        "severity: 4 → 2",
        "tags.t: (none) → p",
    ]
