"""What `orchestrator.toml` says, typed.

These are the tables of the file: profiles (where), queues, images, jobs (what). They are read and
checked by `loading`, which reports everything that is wrong in one go; whoever holds a
`Settings` holds a valid one. Durations are timedeltas here, written `90s`, `10m`, `2h` in the file.

The reference (docs/reference/settings.md) is made of these types: of names, types, defaults and
rules, and of the docstrings, where a line that begins with `key:` (or `key, key:`) describes a key.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from orchestrator.settings import rules

Duration: TypeAlias = Annotated[timedelta, rules.duration]


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all tables of the file."""


# ------------------------------------------------------------------------------- where


class ProfileSpec(Table, frozen=True, kw_only=True):
    """`[profiles.<name>]`: one place where the jobs live.

    An azure profile needs subscription and resource_group, location to make something there, and
    has the other names from the outputs of what `infra deploy` deployed; a local profile has
    defaults for all of them.

    kind: "azure" or "local" (a local cloud on this machine).
    subscription: its id, on Azure; a local cloud has its own.
    tenant: the id of the tenant on Azure; default: the credential's.
    resource_group: what the jobs live in; default of a local profile: local.
    location: the region, needed on Azure to make something there; local: westeurope.
    environment: the Container Apps environment; local: local.
    namespace: the Service Bus namespace, without .servicebus.windows.net; local: sb-local.
    identity: the user-assigned identity of jobs that have none of their own; local: jobs.
    workspace: the Log Analytics workspace; local: local.
    registry: the server that images without one are pulled from.
    infra: the template that `infra deploy` and `up` deploy (.bicep, .json), or its parameters file
    (.bicepparam), relative to the settings file. None: templates/infra/main.bicep beside the
    settings, else the one that comes along.
    resource_manager: the endpoint of another cloud's Resource Manager; default: public Azure's.
    logs: the endpoint of another cloud's Log Analytics; default: public Azure's.
    service_bus_suffix: what follows a namespace in another cloud; default: public Azure's.
    ca_bundle: a PEM file of certificate authorities, for a proxy that inspects TLS.
    state: the folder of the local cloud; default: .orchestrator/local beside the settings file.
    port: of the local cloud's HTTPS (Resource Manager, Log Analytics); default: 14443. 0: any free
    one, for this and the other ports.
    identity_port: of the local cloud's managed identity, HTTP; default: 14480.
    amqp_port: of the local Service Bus without TLS; default: 14672.
    amqps_port: of the local Service Bus; default: 14671.
    executor: what replicas are on the local cloud: processes, or containers on Docker or Podman.
    rbac: whether role assignments are obeyed on the local cloud ("enforce").
    limits: whether the local Service Bus has the quotas and sizes of Azure's Standard tier.
    throttling: whether the local Resource Manager refuses who asks more often than Azure allows.
    """

    kind: Literal["local", "azure"]
    subscription: Annotated[str, rules.guid] | None = None
    tenant: Annotated[str, rules.guid] | None = None
    resource_group: Annotated[str, rules.resource_name] | None = None
    location: str | None = None
    environment: Annotated[str, rules.resource_name] | None = None
    namespace: Annotated[str, rules.resource_name] | None = None
    identity: Annotated[str, rules.resource_name] | None = None
    workspace: Annotated[str, rules.resource_name] | None = None
    registry: Annotated[str, rules.registry] | None = None
    infra: Annotated[str, rules.template_file] | None = None
    # other clouds than public Azure
    resource_manager: Annotated[str, rules.https_url] | None = None
    logs: Annotated[str, rules.https_url] | None = None
    service_bus_suffix: str | None = None
    ca_bundle: str | None = None
    # the local server
    state: str | None = None
    port: Annotated[int, rules.port] | None = None
    identity_port: Annotated[int, rules.port] | None = None
    amqp_port: Annotated[int, rules.port] | None = None
    amqps_port: Annotated[int, rules.port] | None = None
    executor: Literal["process", "container"] = "process"
    rbac: Literal["off", "enforce"] = "off"
    limits: Literal["strict", "relaxed"] = "strict"
    throttling: Literal["off", "enforce"] = "off"


AZURE_ONLY = (
    "subscription",
    "tenant",
    "resource_manager",
    "logs",
    "service_bus_suffix",
    "ca_bundle",
)
LOCAL_ONLY = (
    "state",
    "port",
    "identity_port",
    "amqp_port",
    "amqps_port",
    "executor",
    "rbac",
    "limits",
    "throttling",
)
AZURE_NEEDS = ("subscription", "resource_group")


# ------------------------------------------------------------------------------- queues, images


class QueueSpec(Table, frozen=True, kw_only=True):
    """`[queues.<name>]`: a Service Bus queue that `up` makes.

    lock_duration: how long a received message is locked.
    max_delivery_count: deliveries after which a message is dead-lettered.
    time_to_live: how long a message waits at most; default: for ever.
    dead_letter_on_expiration: dead-letter a message then, instead of dropping it.
    duplicate_detection: how long message ids are remembered, and the same id is dropped; default:
    not at all.
    sessions: whether messages are received by session.
    max_size: how large the queue may become; default: the service's.
    """

    lock_duration: Annotated[timedelta, rules.lock_duration] = timedelta(minutes=1)
    max_delivery_count: Annotated[int, rules.delivery_count] = 10
    time_to_live: Duration | None = None
    dead_letter_on_expiration: bool = False
    duplicate_detection: Annotated[timedelta, rules.duplicate_window] | None = None
    sessions: bool = False
    max_size: Annotated[str, rules.queue_size] | None = None


class ImageSpec(Table, frozen=True, kw_only=True):
    """`[images.<name>]`: how an image runs as a process on the local cloud.

    process: the command and its arguments; `{python}` is the interpreter of the local cloud.
    workdir: the folder it runs in, relative to the settings file (default: the file's own).
    build: the folder that `images build` builds it from, relative to the settings file.
    dockerfile: its Dockerfile in that folder (default: Dockerfile).
    build_args: build arguments.
    """

    process: Annotated[tuple[str, ...], rules.not_empty]
    workdir: str | None = None
    build: str | None = None
    dockerfile: str | None = None
    build_args: dict[str, str] = {}


class ScriptSpec(Table, frozen=True, kw_only=True):
    """`[scripts.<name>]`: what stands for a deployment script on the local cloud.

    outputs: the outputs that the script is taken to have; it is not run.
    process: what is run in its place: the command and its arguments; `{python}` is the interpreter
    of the local cloud.
    workdir: the folder that runs in, relative to the settings file (default: the file's own).
    """

    outputs: dict[str, Any] | None = None
    process: tuple[str, ...] = ()
    workdir: str | None = None


# ------------------------------------------------------------------------------- jobs


class SecretRef(Table, frozen=True, kw_only=True):
    """`{ secret = "name" }` as the value of a variable.

    secret: the name of one of the job's secrets.
    """

    secret: str


class SecretSource(Table, frozen=True, kw_only=True):
    """Where a secret's value is found; the file never holds it. Exactly one of the first three.

    env: a variable of the environment that `deploy` runs in.
    file: a file, relative to the settings file;
    key_vault: the URL of a Key Vault secret, fetched by Azure with the job's identity.
    identity: with key_vault, another identity: "system" or a resource id.
    """

    env: str | None = None
    file: str | None = None
    key_vault: Annotated[str, rules.https_url] | None = None
    identity: str | None = None


class RuleAuth(Table, frozen=True, kw_only=True):
    """`auth` of a scale rule: a credential of its scaler.

    secret: one of the job's secrets, which holds the value.
    parameter: the scaler's parameter that has it.
    """

    secret: str
    parameter: str


class ScaleRule(Table, frozen=True, kw_only=True):
    """`[[jobs.<name>.scale.rules]]`: one KEDA scaler.

    name: of the rule, in the system log.
    type: the scaler; the next three keys are for "azure-servicebus".
    queue: the queue whose waiting messages count.
    message_count: how many waiting messages make one execution; default: 5.
    activation_message_count: nothing starts until more than so many wait; default: 0.
    metadata: what other scalers want, as text.
    auth: credentials from secrets; without it the job's identity is used.
    """

    name: Annotated[str, rules.rule_name]
    type: str = "azure-servicebus"
    queue: str | None = None
    message_count: Annotated[int, rules.at_least_1] | None = None
    activation_message_count: Annotated[int, rules.at_least_0] | None = None
    metadata: dict[str, str] = {}
    auth: tuple[RuleAuth, ...] = ()


class Scale(Table, frozen=True, kw_only=True):
    """`[jobs.<name>.scale]`: when an event-driven job starts, and how often at most.

    rules: what is looked at; each rule is a table.
    min_executions: how many are started at each look, at least.
    max_executions: how many at most; 0: the job rests.
    polling_interval: between two looks at the rules.
    """

    rules: Annotated[tuple[ScaleRule, ...], rules.not_empty]
    min_executions: Annotated[int, rules.at_least_0] = 0
    max_executions: Annotated[int, rules.at_least_0] = 100
    polling_interval: Annotated[timedelta, rules.whole_seconds] = timedelta(seconds=30)


class JobSpec(Table, frozen=True, kw_only=True):
    """`[jobs.<name>]`: one job.

    trigger: manual, schedule (then `cron`) or event (then `scale`).
    image: as in `docker pull`; without a server it comes from the profile's registry.
    cpu: 0.25 to 2 in steps of 0.25 (4 with a workload profile).
    memory: one of the pairs that Container Apps has: 0.5Gi with 0.25, 1Gi with 0.5, … 4Gi with 2;
    default: 2 Gi for each cpu.
    command: replaces the image's entry point.
    args: the arguments; default: the image's.
    env: variable -> text, or `{ secret = "name" }`. Text may hold placeholders: ${servicebus},
    ${namespace}, ${identity.client_id}, ${subscription}, ${resource_group}, ${location},
    ${registry}; `$${` stands for a literal `${`.
    secrets: name -> where its value is found.
    timeout: the longest one replica may take.
    retries: how often a failed replica is tried again.
    parallelism: replicas at a time.
    completions: replicas that must succeed.
    cron: with the trigger schedule: when it starts, in UTC.
    scale: with the trigger event: when it starts, a table.
    workload_profile: where it runs in an environment with workload profiles; default: Consumption.
    sends: the queues it sends to. A job that says what it sends or receives gets an identity of its
    own that may do that and nothing else; one that says neither shares the profile's.
    receives: the queues it receives from; as `sends`.
    """

    trigger: Literal["manual", "schedule", "event"]
    image: Annotated[str, rules.image]
    cpu: Annotated[float, rules.positive] = 0.25
    memory: Annotated[str, rules.memory] | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str | SecretRef] = {}
    secrets: dict[str, SecretSource] = {}
    timeout: Annotated[timedelta, rules.whole_seconds] = timedelta(minutes=30)
    retries: Annotated[int, rules.at_least_0] = 0
    parallelism: Annotated[int, rules.at_least_1] = 1
    completions: Annotated[int, rules.at_least_1] = 1
    cron: Annotated[str, rules.cron] | None = None
    scale: Scale | None = None
    workload_profile: str | None = None
    sends: tuple[str, ...] | None = None
    receives: tuple[str, ...] | None = None

    @property
    def own_identity(self) -> bool:
        """Whether `up` gives it an identity of its own: it says what it may do with it."""
        return self.sends is not None or self.receives is not None


# ------------------------------------------------------------------------------- alerts


class WebhookSpec(Table, frozen=True, kw_only=True):
    """`[[action_groups.<name>.webhooks]]`: an address that is told by HTTP.

    Exactly one of `url` and `url_env`.

    url: the address, http or https.
    url_env: a variable of the environment that `alerts apply` runs in that holds it, where it has a
    secret in it.
    common_schema: whether it is sent the common alert schema.
    """

    url: Annotated[str, rules.web_url] | None = None
    url_env: str | None = None
    common_schema: bool = True


class ActionGroupSpec(Table, frozen=True, kw_only=True):
    """`[action_groups.<name>]`: who is told when an alert fires or is resolved.

    short_name: 1 to 12 characters that messages begin with (default: from the name).
    webhooks: addresses that are told by HTTP; each is a table.
    emails: the e-mail addresses that are told.
    sms: the telephone numbers that are told, as "+49 1701234567".
    """

    short_name: Annotated[str, rules.short_name] | None = None
    webhooks: tuple[WebhookSpec, ...] = ()
    emails: tuple[Annotated[str, rules.email], ...] = ()
    sms: tuple[Annotated[str, rules.phone], ...] = ()


class AlertSpec(Table, frozen=True, kw_only=True):
    """`[alerts.<name>]`: when somebody is told.

    when: of a job "failed" (an execution has failed) or "no-success" (none has succeeded within
    that time); of a queue "dead-letters" (there are more than `above`), "depth" (more than `above`
    wait) or "stalled" (messages have waited for all of that time and none was completed).
    job: the job that is watched.
    queue: the queue that is watched.
    within: the time that is looked at; default: 5m; "no-success" and "stalled" need it.
    every: how often it is looked at; default: by `within`.
    above: the number of messages that may be; "depth" needs it, "dead-letters" has 0.
    severity: 0 critical, 1 error, 2 warning, 3 informational, 4 verbose.
    action_groups: who is told, names of action groups.
    description: a sentence that goes with it; default: what it is about.
    enabled: whether it is looked at at all.
    resolve: whether the alert is resolved by itself when it is over.
    """

    when: Literal["failed", "no-success", "dead-letters", "depth", "stalled"]
    job: str | None = None
    queue: str | None = None
    within: Annotated[timedelta, rules.duration] | None = None
    every: Annotated[timedelta, rules.duration] | None = None
    above: Annotated[int, rules.at_least_0] | None = None
    severity: Annotated[int, rules.severity] = 2
    action_groups: tuple[str, ...] = ()
    description: str | None = None
    enabled: bool = True
    resolve: bool = True


# ------------------------------------------------------------------------------- the whole


class Settings(Table, frozen=True, kw_only=True):
    """The whole file.

    default_profile: the profile used when none is named; the only one there is, if there is one.
    project: marks the jobs that are deployed, so that projects which share a resource group leave
    each other's jobs alone.
    profiles: the places where the jobs live, each a table.
    queues: the queues, each a table.
    images: how images run on the local cloud, each a table.
    scripts: what stands for deployment scripts on the local cloud, each a table.
    jobs: the jobs, each a table.
    queries_folder: where the project's saved queries lie.
    alerts: when somebody is told, each a table.
    action_groups: who is told, each a table.
    path: the file that was read; None when there is none (then there is a profile "local", and no
    jobs). Not a key.
    folder: what relative paths start from. Not a key.
    """

    default_profile: str = "local"
    project: str = "default"
    profiles: dict[str, ProfileSpec] = {}
    queues: dict[str, QueueSpec] = {}
    images: dict[str, ImageSpec] = {}
    scripts: dict[str, ScriptSpec] = {}
    jobs: dict[str, JobSpec] = {}
    queries_folder: str = "queries"
    alerts: dict[str, AlertSpec] = {}
    action_groups: dict[str, ActionGroupSpec] = {}
    path: Path | None = None
    folder: Path = Path()

    def job(self, name: str) -> JobSpec:
        """The job of that name. Raises JobNotFound, SettingsNotFound when there is no file."""
        if name in self.jobs:
            return self.jobs[name]
        from difflib import get_close_matches

        from orchestrator.errors import JobNotFound, SettingsNotFound

        if self.path is None:
            raise SettingsNotFound(
                "There is no orchestrator.toml here or in a parent folder, so no jobs to deploy.",
                "Make one: orchestrator init",
            )
        near = get_close_matches(name, self.jobs, 1)
        known = ", ".join(self.jobs) or "none"
        raise JobNotFound(
            f'There is no job "{name}" in {self.path}.',
            f'Did you mean "{near[0]}"?' if near else f"The jobs there: {known}.",
        )
