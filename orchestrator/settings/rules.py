"""The rules that single values of the settings obey.

Each rule takes a value of the right type and gives it back, converted where the file writes it
differently (durations), or raises ValueError with one sentence: what is wrong, what is allowed.
A `Rule` stands in the annotation of the field it belongs to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from orchestrator.quantities import parse_duration, parse_memory, parse_queue_size

GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
JOB_NAME = re.compile(r"[a-z][-a-z0-9]*[a-z0-9]")
SECRET_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
QUEUE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?")
PLACEHOLDER = re.compile(r"\$\$\{|\$\{([^}]*)\}")
PLACEHOLDERS = (
    "servicebus",
    "namespace",
    "identity.client_id",
    "subscription",
    "resource_group",
    "location",
    "registry",
)
OUTPUT = re.compile(r"outputs\.[A-Za-z_]\w*(?:\.\w+)*")  # any output of the deployment


class Rule:
    """A check in an annotation. `written`: the type in the file, where it is not the field's.

    `allowed`: what it lets pass, in words, for the settings reference.
    """

    __slots__ = ("allowed", "check", "written")

    def __init__(
        self, check: Callable[[Any], Any], written: type | None = None, *, allowed: str = ""
    ) -> None:
        self.check = check
        self.written = written
        self.allowed = allowed


def _matching(pattern: re.Pattern[str], what: str) -> Rule:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f'"{value}" is not {what}')
        return value

    return Rule(check, allowed=what)


def _between(low: float, high: float | None = None) -> Rule:
    allowed = f"at least {low:g}" if high is None else f"{low:g} to {high:g}"

    def check(value: float) -> float:
        if value < low or (high is not None and value > high):
            raise ValueError(f"{value:g} is not allowed: {allowed}")
        return value

    return Rule(check, allowed=allowed)


def _duration_between(low: str, high: str | None = None, *, whole: bool = False) -> Rule:
    allowed = f"{low} to {high}" if high else f"at least {low}"

    def check(value: str) -> timedelta:
        length = parse_duration(value)
        if length < parse_duration(low) or (high and length > parse_duration(high)):
            raise ValueError(f"{value} is not allowed: {allowed}")
        if whole and length % timedelta(seconds=1):
            raise ValueError(f"{value} is not allowed: whole seconds")
        return length

    return Rule(check, written=str, allowed=f"{allowed}, whole seconds" if whole else allowed)


duration = Rule(parse_duration, written=str)
whole_seconds = _duration_between("1s", whole=True)
lock_duration = _duration_between("5s", "5m")  # docs: service-bus-quotas, message lock duration
duplicate_window = _duration_between("20s", "7d")  # docs: service-bus duplicate-detection
delivery_count = _between(1, 2000)
severity = _between(0, 4)
at_least_0 = _between(0)
at_least_1 = _between(1)
port = _between(0, 65535)
short_name = _matching(re.compile(r".{1,12}"), "1 to 12 characters")
email = _matching(re.compile(r"[^@\s]+@[^@\s]+"), "an e-mail address")
phone = _matching(re.compile(r"\+\d{1,3}[ -]\d{4,14}"), "a number such as +49 1701234567")
web_url = _matching(re.compile(r"https?://[^\s/]+\S*"), "an http or https address")
guid = _matching(GUID, "an id such as 00000000-0000-0000-0000-000000000000")
resource_name = _matching(
    re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._()-]{0,88}[A-Za-z0-9_)-])?"),
    "a name: letters, digits, - _ . and (), at most 90",
)
registry = _matching(
    re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(?::\d+)?"),
    "a registry server such as name.azurecr.io (no https://, no path)",
)
template_file = _matching(
    re.compile(r".+\.(?:bicep|bicepparam|json)"), "a .bicep, .bicepparam or .json file"
)
https_url = _matching(re.compile(r"https://[^\s/]+(?:/\S*)?"), "an https:// address")
rule_name = _matching(
    re.compile(r"[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?"),
    "a rule's name: lower-case letters, digits and -",
)


def _positive(value: float) -> float:
    if not value > 0 or value == float("inf"):
        raise ValueError(f"{value:g} is not allowed: more than 0")
    return value


def _memory(value: str) -> str:
    parse_memory(value)
    return value


def _queue_size(value: str) -> str:
    size = parse_queue_size(value)
    if not 1024 <= size <= 81920:
        raise ValueError(f"{value} is not allowed: 1GiB to 80GiB")
    return value


def _not_empty(value: Sequence[Any]) -> Sequence[Any]:
    if not value:
        raise ValueError("it is empty: give at least one")
    return value


def _image(value: str) -> str:
    if not value or re.search(r"\s", value) or "://" in value:
        raise ValueError(f'"{value}" is not an image: write it as in docker pull, name:tag')
    return value


def _cron(value: str) -> str:
    check_cron(value)
    return value


positive = Rule(_positive, allowed="more than 0")
memory = Rule(_memory, allowed="a size such as 0.5Gi or 512Mi")
queue_size = Rule(_queue_size, allowed="1GiB to 80GiB")
not_empty = Rule(_not_empty, allowed="at least one")
image = Rule(_image, allowed="as in docker pull, name:tag")
cron = Rule(_cron, allowed="five fields, as in */5 * * * *")


def check_cron(expression: str) -> None:
    """A cron expression of exactly five fields, as Container Apps takes it (UTC).

    Source: "Jobs in Azure Container Apps", scheduled jobs; evaluated by cronsim as Debian does.
    """
    fields = expression.split()
    allowed = "minute hour day month weekday, as in */5 * * * *"
    if len(fields) == 6:
        raise ValueError(
            f'"{expression}" has six fields, and Container Apps takes five ({allowed}): '
            "leave out the seconds"
        )
    if len(fields) != 5:
        count = {0: "no fields", 1: "one field"}.get(len(fields), f"{len(fields)} fields")
        raise ValueError(f'"{expression}" has {count}, and a cron expression has five: {allowed}')
    from datetime import UTC, datetime

    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        raise ValueError(f'"{expression}" is not a cron expression: {error} ({allowed})') from None
    except StopIteration:
        raise ValueError(f'"{expression}" names a date that never comes') from None


def check_job_name(name: str) -> None:
    """2 to 32 lower-case letters, digits and hyphens; a letter first, no hyphen last, no `--`.

    Source: the service's own message for a name it refuses (ContainerAppInvalidName).
    """
    if not (2 <= len(name) <= 32 and JOB_NAME.fullmatch(name) and "--" not in name):
        raise ValueError(
            f'"{name}" is not allowed as a job\'s name: 2 to 32 lower-case letters, digits and '
            "hyphens, starting with a letter, not ending with a hyphen, no two hyphens together"
        )


def check_cpu_memory(cpu: float, gib: float, workload_profile: str | None) -> None:
    """The pairs of the Consumption plan: steps of 0.25 cpu with 2 Gi for each, up to 2 cpu (4 in a
    workload-profiles environment). Dedicated profiles are free.

    Source: "Containers in Azure Container Apps", configuration, allocations.
    """
    if workload_profile and workload_profile.lower() != "consumption":
        return
    most = 4.0 if workload_profile else 2.0
    if cpu <= most and (cpu * 4) % 1 == 0 and abs(gib - cpu * 2) < 1e-9:
        return
    fitting = min(max(round(gib * 2) / 4, 0.25), most)
    step = min(max(-(-cpu * 4 // 1) / 4, 0.25), most)
    suggestions = " or ".join(
        f"{c:g} with {c * 2:g}Gi" for c in sorted({step, fitting}, key=lambda c: (c != step, c))
    )
    raise ValueError(
        f"cpu {cpu:g} with memory {gib:g}Gi is not a pair that Container Apps has: "
        f"0.25 with 0.5Gi, 0.5 with 1Gi, … {most:g} with {most * 2:g}Gi; the nearest is "
        f"{suggestions}"
    )


def placeholder_problems(text: str) -> list[tuple[str, str]]:
    """(sentence, near miss) for each placeholder in `text` that there is not."""
    from difflib import get_close_matches

    problems = []
    for match in PLACEHOLDER.finditer(text):
        name = match[1]
        if name is not None and name not in PLACEHOLDERS and not OUTPUT.fullmatch(name):
            allowed = ", ".join(f"${{{p}}}" for p in (*PLACEHOLDERS, "outputs.…"))
            near = get_close_matches(name, PLACEHOLDERS, 1)
            meant = f"${{{near[0]}}}" if near else ""
            problems.append(
                (
                    f"there is no placeholder ${{{name}}}; there are {allowed}; $${{ is literal",
                    meant,
                )
            )
    return problems
