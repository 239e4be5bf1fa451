"""The rules that names and whole tables of the settings obey: what belongs together, what excludes
what, and what refers to what."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from orchestrator.quantities import parse_memory, short_duration
from orchestrator.settings import rules
from orchestrator.settings.reader import Reader, TableRule, join, listed, near
from orchestrator.settings.tables import (
    AZURE_ONLY,
    LOCAL_ONLY,
    ActionGroupSpec,
    AlertSpec,
    JobSpec,
    ProfileSpec,
    Scale,
    ScaleRule,
    SecretRef,
    SecretSource,
    WebhookSpec,
)

# ------------------------------------------------------------------------------- rules of names


def name_rule(pattern: re.Pattern[str], what: str) -> Callable[[str], None]:
    def check_name(name: str) -> None:
        if not pattern.fullmatch(name):
            raise ValueError(f'"{name}" is not allowed as {what}')

    return check_name


NAME_RULES: dict[str, Callable[[str], None]] = {
    "jobs": rules.check_job_name,
    "alerts": name_rule(rules.SECRET_NAME, "an alert's name: lower-case letters, digits, - and ."),
    "action_groups": name_rule(
        rules.SECRET_NAME, "an action group's name: lower-case letters, digits, - and ."
    ),
    "queues": name_rule(rules.QUEUE_NAME, "a queue's name: letters, digits and . - _ /"),
    "env": name_rule(rules.ENV_NAME, "a variable's name: letters, digits and _"),
    "secrets": name_rule(rules.SECRET_NAME, "a secret's name: lower-case letters, digits, - and ."),
}


# ------------------------------------------------------------------------------- rules of tables


def _profile(reader: Reader, data: Mapping[str, Any], values: dict[str, Any], at: str) -> None:
    kind = values.get("kind")
    foreign = {"local": AZURE_ONLY, "azure": LOCAL_ONLY}.get(str(kind), ())
    for key in foreign:
        if key in data:
            reader.problem(join(at, key), f"a profile of kind {kind} has no {key}")


def _secret(reader: Reader, data: Mapping[str, Any], values: dict[str, Any], at: str) -> None:
    given = [key for key in ("env", "file", "key_vault") if key in data]
    if len(given) != 1:
        found = f"found {' and '.join(given)}" if given else "found none of them"
        reader.problem(at, f"a secret comes from exactly one of env, file, key_vault; {found}")
    if "identity" in data and "key_vault" not in data:
        reader.problem(join(at, "identity"), "only a key_vault secret is fetched by an identity")


def _scale_rule(reader: Reader, data: Mapping[str, Any], values: dict[str, Any], at: str) -> None:
    service_bus = values.get("type", "azure-servicebus") == "azure-servicebus"
    if not service_bus:
        for key in ("queue", "message_count", "activation_message_count"):
            if key in data:
                reader.problem(
                    join(at, key),
                    f'only a rule of type "azure-servicebus" has {key}; use metadata',
                )
    elif "queue" not in data and "topicName" not in (values.get("metadata") or {}):
        reader.problem(join(at, "queue"), "it is missing: name the queue whose messages count")


def _scale(reader: Reader, data: Mapping[str, Any], values: dict[str, Any], at: str) -> None:
    least, most = values.get("min_executions", 0), values.get("max_executions", 100)
    if least > most:
        reader.problem(join(at, "min_executions"), f"{least} is more than max_executions, {most}")
    names = [rule.name for rule in values.get("rules", ())]
    for name in sorted({name for name in names if names.count(name) > 1}):
        reader.problem(join(at, "rules"), f'two rules are called "{name}"')


def _job(reader: Reader, data: Mapping[str, Any], values: dict[str, Any], at: str) -> None:
    trigger = values.get("trigger")
    for owner, key in (("schedule", "cron"), ("event", "scale")):
        if trigger is None:
            continue
        if trigger == owner and key not in data:
            example = ', as in cron = "*/5 * * * *"' if key == "cron" else ""
            reader.problem(
                join(at, key), f'it is missing: a job of trigger "{owner}" needs it{example}'
            )
        elif trigger != owner and key in data:
            reader.problem(
                join(at, key),
                f'only a job of trigger "{owner}" has {key}, and this one\'s is "{trigger}"',
            )
    if ("cpu" in values or "cpu" not in data) and ("memory" in values or "memory" not in data):
        cpu = values.get("cpu", 0.25)
        memory = values.get("memory")
        try:
            rules.check_cpu_memory(
                cpu, parse_memory(memory) if memory else cpu * 2, values.get("workload_profile")
            )
        except ValueError as error:
            reader.problem(join(at, "cpu"), str(error))
    _references(reader, data, values, at)
    for place, text in _texts(values, at):
        for what, meant in rules.placeholder_problems(text):
            reader.problem(place, what, meant)


def _references(reader: Reader, data: Mapping[str, Any], values: dict[str, Any], at: str) -> None:
    written = data.get("secrets")
    secrets = list(written) if isinstance(written, dict) else []
    wanted = [
        (join(f"{at}.env", name), value.secret)
        for name, value in values.get("env", {}).items()
        if isinstance(value, SecretRef)
    ]
    scale = values.get("scale")
    for i, rule in enumerate(scale.rules if scale else ()):
        wanted += [
            (f"{at}.scale.rules[{i}].auth[{k}].secret", auth.secret)
            for k, auth in enumerate(rule.auth)
        ]
    for place, secret in wanted:
        if secret not in secrets:
            there = f"it has {listed(secrets)}" if secrets else "it has none"
            reader.problem(
                place, f'the job has no secret "{secret}"; {there}', near(secret, secrets)
            )


def _texts(values: Mapping[str, Any], at: str) -> list[tuple[str, str]]:
    """(key path, text) of everything in a job that may hold placeholders."""
    found = [(join(at, "image"), values.get("image", ""))]
    for name, value in values.get("env", {}).items():
        if isinstance(value, str):
            found.append((join(f"{at}.env", name), value))
    for key in ("command", "args"):
        found += [(f"{at}.{key}[{i}]", text) for i, text in enumerate(values.get(key, ()))]
    scale = values.get("scale")
    for i, rule in enumerate(scale.rules if scale else ()):
        for name, text in rule.metadata.items():
            found.append((join(f"{at}.scale.rules[{i}].metadata", name), text))
    return found


def check_queue_names(reader: Reader, values: Mapping[str, Any]) -> None:
    """A scale rule's queue is one of `[queues]`, where the file has any; a job's always is."""
    queues: list[str] = list(values.get("queues") or ())
    for name, job in (values.get("jobs") or {}).items():
        scale = job.scale if isinstance(job, JobSpec) else None
        for i, rule in enumerate(scale.rules if scale and queues else ()):
            if rule.queue and rule.queue.lower() not in (q.lower() for q in queues):
                reader.problem(
                    f"jobs.{name}.scale.rules[{i}].queue",
                    f'there is no queue "{rule.queue}" in this file; it has {listed(queues)}',
                    near(rule.queue, queues),
                )
        for key in ("sends", "receives") if isinstance(job, JobSpec) else ():
            for i, queue in enumerate(getattr(job, key) or ()):
                if queue.lower() not in (q.lower() for q in queues):
                    there = f"it has {listed(queues)}" if queues else "it has none"
                    meant = near(queue, queues)
                    if not meant:
                        # An exported job (`--toml`) comes to another project without its queues.
                        there += f"; add it: [{join('queues', queue)}]"
                    reader.problem(
                        f"jobs.{name}.{key}[{i}]",
                        f'there is no queue "{queue}" in this file; {there}',
                        meant,
                    )


# Azure's own steps, in minutes: of log alerts and of metric alerts (see `alerts.body`).
_LOG_STEPS = (1, 5, 10, 15, 30, 45, 60, 120, 180, 240, 300, 360, 1440, 2880)
_METRIC_STEPS = (1, 5, 15, 30, 60, 360, 720, 1440)


def _alert(reader: Reader, data: Mapping[str, Any], values: dict[str, Any], at: str) -> None:
    when = values.get("when")
    if when is None:
        return
    of_job = when in ("failed", "no-success")
    mine, other = ("job", "queue") if of_job else ("queue", "job")
    if mine not in data:
        reader.problem(join(at, mine), f'it is missing: "{when}" watches a {mine}')
    if other in data:
        reader.problem(join(at, other), f'"{when}" watches a {mine}, not a {other}')
    if when in ("no-success", "stalled") and "within" not in data:
        reader.problem(join(at, "within"), f'it is missing: "{when}" is for a length of time')
    if when == "depth" and "above" not in data:
        reader.problem(join(at, "above"), "it is missing: how many messages may wait")
    if when not in ("dead-letters", "depth") and "above" in data:
        reader.problem(join(at, "above"), f'"{when}" has no number that may be')
    steps = _LOG_STEPS if of_job else _METRIC_STEPS
    lengths = {key: values[key] for key in ("within", "every") if values.get(key) is not None}
    for key, length in lengths.items():
        allowed = steps if key == "within" else [n for n in steps if n <= 60]
        if length.total_seconds() / 60 not in allowed:
            text = listed([short_duration(timedelta(minutes=n)) for n in allowed])
            reader.problem(join(at, key), f"{short_duration(length)} is not possible: {text}")
    if len(lengths) == 2 and lengths["every"] > lengths["within"]:
        reader.problem(join(at, "every"), "it is longer than what is looked at (within)")


def _webhook(reader: Reader, data: Mapping[str, Any], values: dict[str, Any], at: str) -> None:
    if ("url" in data) == ("url_env" in data):
        reader.problem(at, "a webhook has exactly one of url and url_env")


def _action_group(reader: Reader, data: Mapping[str, Any], values: dict[str, Any], at: str) -> None:
    if not any(values.get(key) for key in ("webhooks", "emails", "sms")) and not (
        {"webhooks", "emails", "sms"} & set(data)
    ):
        reader.problem(at, "it tells nobody: give it webhooks, emails or sms")


def check_alerts(reader: Reader, values: Mapping[str, Any]) -> None:
    """An alert's job, queue and action groups are those of the file, where it has any."""
    for name, alert in (values.get("alerts") or {}).items():
        if not isinstance(alert, AlertSpec):
            continue
        for key, table in (("job", "jobs"), ("queue", "queues")):
            found = getattr(alert, key)
            known: list[str] = list(values.get(table) or ())
            if found is not None and known and found.lower() not in (k.lower() for k in known):
                reader.problem(
                    f"alerts.{name}.{key}",
                    f'there is no {key} "{found}" in this file; it has {listed(known)}',
                    near(found, known),
                )
        groups: list[str] = list(values.get("action_groups") or ())
        for i, group in enumerate(alert.action_groups):
            if group not in groups:
                there = f"it has {listed(groups)}" if groups else "it has none"
                reader.problem(
                    f"alerts.{name}.action_groups[{i}]",
                    f'there is no action group "{group}" in this file; {there}',
                    near(group, groups),
                )


TABLE_RULES: dict[type, TableRule] = {
    ProfileSpec: _profile,
    SecretSource: _secret,
    ScaleRule: _scale_rule,
    Scale: _scale,
    JobSpec: _job,
    AlertSpec: _alert,
    WebhookSpec: _webhook,
    ActionGroupSpec: _action_group,
}
