"""Every wrong setting is refused by file and key, with what is allowed; all of them at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from orchestrator.errors import SettingsError, SettingsNotFound
from orchestrator.settings import find, load

JOB = """
[jobs.sender]
trigger = "manual"
image = "sender"
"""


def problems(folder: Path, text: str) -> dict[str, str]:
    """key path -> sentence, of everything that loading this text refuses."""
    path = folder / "orchestrator.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        load(path)
    error = caught.value
    assert error.exit_code == 2
    assert error.path == path
    assert str(path) in error.message
    assert error.hint
    for problem in error.problems:
        assert problem.where in error.message
        assert problem.what in error.message
    return {p.where: f"{p.what} [{p.suggestion}]" for p in error.problems}


ONE_WRONG_KEY = [
    # a wrong key
    ('default_profle = "local"', "default_profle", "[default_profile]"),
    (JOB + 'timeot = "5m"', "jobs.sender.timeot", "[timeout]"),
    (JOB + "replica_timeout = 5", "jobs.sender.replica_timeout", "[timeout]"),
    (JOB + 'colour = "red"', "jobs.sender.colour", "the keys here are trigger, image, cpu"),
    ("[jbos.sender]", "jbos", "[jobs]"),
    # a wrong type
    (JOB + 'retries = "2"', "jobs.sender.retries", 'expected a whole number, found the text "2"'),
    (JOB + "retries = 1.5", "jobs.sender.retries", "expected a whole number, found 1.5"),
    (JOB + "parallelism = true", "jobs.sender.parallelism", "expected a whole number, found true"),
    (JOB + 'cpu = "0.25"', "jobs.sender.cpu", 'expected a number, found the text "0.25"'),
    (JOB + 'args = "x"', "jobs.sender.args", "expected a list in [ ]"),
    (JOB + "args = [1]", "jobs.sender.args[0]", "expected text in quotes, found 1"),
    (JOB + "env = 3", "jobs.sender.env", "expected a table, found 3"),
    ("jobs = 3", "jobs", "expected a table, found 3"),
    ("profiles = 3", "profiles", "expected a table, found 3"),
    ("[queues]\nresults = 3", "queues.results", "expected a table, such as {"),
    (
        '[action_groups.a]\nwebhooks = ["http://a/"]',
        "action_groups.a.webhooks[0]",
        'expected a table, such as { url = … }, found the text "http://a/"',
    ),
    # a wrong unit
    (JOB + 'timeout = "10 minutes"', "jobs.sender.timeout", "write a number and s, m, h, d or w"),
    (JOB + "timeout = 600", "jobs.sender.timeout", 'write it as "600s"'),
    (JOB + 'timeout = "0s"', "jobs.sender.timeout", "at least 1s"),
    (JOB + 'timeout = "1500ms"', "jobs.sender.timeout", "whole seconds"),
    (JOB + 'memory = "512MB"', "jobs.sender.memory", "write it in Gi, as in 0.5Gi"),
    ('[queues.q]\nlock_duration = "6m"', "queues.q.lock_duration", "5s to 5m"),
    ('[queues.q]\nduplicate_detection = "8d"', "queues.q.duplicate_detection", "20s to 7d"),
    ("[queues.q]\nmax_delivery_count = 0", "queues.q.max_delivery_count", "1 to 2000"),
    ('[queues.q]\nmax_size = "100GiB"', "queues.q.max_size", "1GiB to 80GiB"),
    # a choice
    (JOB.replace("manual", "manuel"), "jobs.sender.trigger", "[manual]"),
    ('[profiles.local]\nkind = "lokal"', "profiles.local.kind", "local or azure"),
    # cron
    (
        JOB.replace("manual", "schedule") + 'cron = "0 * * * * *"',
        "jobs.sender.cron",
        "has six fields, and Container Apps takes five",
    ),
    (
        JOB.replace("manual", "schedule") + 'cron = "* * * *"',
        "jobs.sender.cron",
        "has 4 fields, and a cron expression has five",
    ),
    (
        JOB.replace("manual", "schedule") + 'cron = "61 * * * *"',
        "jobs.sender.cron",
        "is not a cron expression: Bad minute",
    ),
    (
        JOB.replace("manual", "schedule") + 'cron = "0 0 31 2 *"',
        "jobs.sender.cron",
        "Bad day-of-month",
    ),
    (JOB.replace("manual", "schedule"), "jobs.sender.cron", "it is missing"),
    (JOB + 'cron = "* * * * *"', "jobs.sender.cron", 'only a job of trigger "schedule" has cron'),
    # scale
    (JOB.replace("manual", "event"), "jobs.sender.scale", "it is missing"),
    (
        JOB.replace("manual", "event") + "scale = { rules = [] }",
        "jobs.sender.scale.rules",
        "it is empty",
    ),
    (
        JOB.replace("manual", "event") + "scale = { min_executions = 5, max_executions = 2, "
        'rules = [{ name = "r", queue = "q" }] }',
        "jobs.sender.scale.min_executions",
        "5 is more than max_executions, 2",
    ),
    (
        JOB.replace("manual", "event") + 'scale = { rules = [{ name = "r" }] }',
        "jobs.sender.scale.rules[0].queue",
        "name the queue whose messages count",
    ),
    (
        JOB.replace("manual", "event")
        + 'scale = { rules = [{ name = "r", type = "redis", queue = "q" }] }',
        "jobs.sender.scale.rules[0].queue",
        'only a rule of type "azure-servicebus" has queue',
    ),
    (
        JOB.replace("manual", "event")
        + 'scale = { rules = [{ name = "r", queue = "resluts" }] }\n[queues.results]',
        "jobs.sender.scale.rules[0].queue",
        "[results]",
    ),
    # cpu and memory
    (JOB + "cpu = 0.3", "jobs.sender.cpu", "is not a pair that Container Apps has"),
    (JOB + 'cpu = 0.5\nmemory = "0.5Gi"', "jobs.sender.cpu", "the nearest is 0.5 with 1Gi"),
    (JOB + "cpu = 4.0", "jobs.sender.cpu", "the nearest is 2 with 4Gi"),
    (JOB + "cpu = -1", "jobs.sender.cpu", "more than 0"),
    (JOB + "cpu = nan", "jobs.sender.cpu", "more than 0"),
    # names
    (JOB.replace("jobs.sender", "jobs.Sender"), "jobs.Sender", "2 to 32 lower-case letters"),
    (JOB.replace("jobs.sender", "jobs.s--x"), "jobs.s--x", "no two hyphens together"),
    (JOB.replace("jobs.sender", f"jobs.{'a' * 33}"), f"jobs.{'a' * 33}", "2 to 32"),
    (JOB.replace("jobs.sender", "jobs.9lives"), "jobs.9lives", "starting with a letter"),
    (JOB.replace("jobs.sender", 'jobs."a b"'), 'jobs."a b"', "lower-case letters"),
    ('[queues."a b"]', 'queues."a b"', "a queue's name"),
    (JOB + 'env = { "A=B" = "x" }', 'jobs.sender.env."A=B"', "a variable's name"),
    # queues, which an exported job comes without
    (JOB + 'sends = ["results"]', "jobs.sender.sends[0]", "it has none; add it: [queues.results]"),
    (JOB + 'receives = ["a/b"]', "jobs.sender.receives[0]", 'add it: [queues."a/b"]'),
    (
        JOB + 'sends = ["result"]\n[queues.results]',
        "jobs.sender.sends[0]",
        "it has results. [results]",
    ),
    # variables
    (JOB + "env = { N = 5 }", "jobs.sender.env.N", 'write "5" in quotes'),
    (JOB + "env = { N = true }", "jobs.sender.env.N", 'write "true" in quotes'),
    (JOB + 'env = { N = "${servicebux}" }', "jobs.sender.env.N", "[${servicebus}]"),
    (JOB + 'args = ["${}"]', "jobs.sender.args[0]", "there is no placeholder ${}"),
    # secrets
    (
        JOB + 'env = { T = { secret = "tokn" } }\nsecrets = { token = { env = "T" } }',
        "jobs.sender.env.T",
        "[token]",
    ),
    (JOB + 'env = { T = { secret = "token" } }', "jobs.sender.env.T", "it has none"),
    (
        JOB + 'secrets = { t = { env = "A", file = "b" } }',
        "jobs.sender.secrets.t",
        "exactly one of env, file, key_vault; found env and file",
    ),
    (JOB + "secrets = { t = {} }", "jobs.sender.secrets.t", "found none of them"),
    (JOB + 'secrets = { t = "x" }', "jobs.sender.secrets.t", 'found the text "x"'),
    (
        JOB + 'secrets = { t = { env = "A", identity = "system" } }',
        "jobs.sender.secrets.t.identity",
        "only a key_vault secret",
    ),
    (
        JOB.replace("manual", "event")
        + 'scale = { rules = [{ name = "r", queue = "q", auth = [{ secret = "s", '
        'parameter = "connection" }] }] }',
        "jobs.sender.scale.rules[0].auth[0].secret",
        'the job has no secret "s"',
    ),
    # profiles
    ('default_profile = "azur"\n[profiles.azure]\nkind = "azure"', "default_profile", "[azure]"),
    (
        '[profiles.a]\nkind = "azure"\n[profiles.b]\nkind = "azure"',
        "default_profile",
        "say which it is: a or b",
    ),
    (
        '[profiles.local]\nkind = "local"\nsubscription = "00000000-0000-0000-0000-000000000001"',
        "profiles.local.subscription",
        "a profile of kind local has no subscription",
    ),
    (
        '[profiles.local]\nkind = "azure"\nport = 1',
        "profiles.local.port",
        "a profile of kind azure has no port",
    ),
    ('[profiles.a]\nkind = "azure"\nsubscription = "me"', "profiles.a.subscription", "an id such"),
    (
        '[profiles.a]\nkind = "azure"\nregistry = "https://x/y"',
        "profiles.a.registry",
        "no https://",
    ),
    # images
    ("[images.sender]\nprocess = []", "images.sender.process", "it is empty"),
    (JOB.replace('"sender"', '"a b"'), "jobs.sender.image", "is not an image"),
    ('[jobs.sender]\ntrigger = "manual"', "jobs.sender.image", "it is missing"),
]


@pytest.mark.parametrize(
    ("text", "where", "what"), ONE_WRONG_KEY, ids=[w[1] for w in ONE_WRONG_KEY]
)
def test_a_wrong_setting_names_its_key_and_what_is_allowed(
    tmp_path: Path, text: str, where: str, what: str
) -> None:
    found = problems(tmp_path, text)
    assert list(found) == [where]
    assert what in found[where]


def test_everything_wrong_is_told_in_one_go(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        [jobs.Sender]
        trigger = "manual"
        image = "x"
        retries = -1
        [jobs.processor]
        trigger = "schedule"
        cron = "* * * * * *"
        image = "x"
        memory = "1GB"
        [queues.q]
        lock_duration = 5
        """,
    )
    assert sorted(found) == [
        "jobs.Sender",
        "jobs.Sender.retries",
        "jobs.processor.cron",
        "jobs.processor.memory",
        "queues.q.lock_duration",
    ]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a = 1\nb = = 2", "line 2, column 5"),
        ("a = 1\na = 2\n", "line 2, column 6"),
        ('a = "open', "end of file"),
        ("[a\n", "line 1, column 3"),
    ],
)
def test_toml_that_is_none_is_told_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    found = problems(tmp_path, text)
    assert list(found) == [where]
    assert found[where].startswith("not valid TOML: ")


def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.toml"
    path.write_bytes(b"# a\n# caf\xe9\n")
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert caught.value.problems[0].where == "line 2"


def test_a_named_file_that_is_not_there_is_told_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(SettingsNotFound) as caught:
        load(tmp_path / "orchestrator.toml")
    assert "orchestrator init" in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's here")
def test_a_file_that_may_not_be_read_is_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "orchestrator.toml"
    path.mkdir()
    (path / "orchestrator.toml").mkdir()
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert "can't be read" in caught.value.message


def test_the_file_is_found_in_a_parent_folder(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(JOB)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find(inner) == tmp_path / "orchestrator.toml"
    assert load(start=inner, environ={}).path == tmp_path / "orchestrator.toml"


def test_without_any_file_there_is_a_local_profile_and_no_job(tmp_path: Path) -> None:
    settings = load(start=tmp_path, environ={})
    if settings.path is not None:  # a stray file above the temporary folder
        pytest.skip("there is an orchestrator.toml above the temporary folder")
    assert list(settings.profiles) == ["local"]
    assert not settings.jobs
    with pytest.raises(SettingsNotFound):
        settings.job("sender")


def test_the_keys_of_a_table_are_listed_once_however_many_are_unknown(tmp_path: Path) -> None:
    text = f'{JOB}colour = "red"\nshape = 1\n[jobs.other]\ntrigger = "manual"\nimage = "x"\nhue = 2'
    found = problems(tmp_path, text)
    assert {"jobs.sender.colour", "jobs.sender.shape", "jobs.other.hue"} <= set(found)
    assert [where for where, what in found.items() if "the keys here are" in what] == [
        "jobs.sender.colour"
    ]
