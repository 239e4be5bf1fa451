"""What the shell completes: every place that takes a name knows the names."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from orchestrator.cli import known_names, shells
from orchestrator.cli.app import root

SETTINGS = """
[profiles.local]
kind = "local"
[queues.orders]
[images.worker]
process = ["worker"]
[jobs.nightly]
trigger = "manual"
image = "worker"
[jobs.nightly.env]
COUNT = "3"
[jobs.hourly]
trigger = "manual"
image = "worker"
[jobs.hourly.env]
SPEED = "1"
[alerts.nightly-failed]
when = "failed"
job = "nightly"
"""


def completed(*words: str) -> set[str]:
    shell = ShellComplete(root, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE")
    return {item.value for item in shell.get_completions(list(words), "")}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "orchestrator.toml").write_text(SETTINGS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # No service is asked here: nothing has been seen of one.
    monkeypatch.setattr(known_names, "names", lambda *_: [])


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("deploy", "nightly"),
        ("plan", "nightly"),
        ("drift", "nightly"),
        ("doctor", "nightly"),
        ("start", "nightly"),
        ("stop", "nightly@latest"),
        ("stop --job", "nightly"),
        ("jobs show", "nightly"),
        ("jobs export", "nightly"),
        ("jobs suspend", "nightly"),
        ("jobs resume", "nightly"),
        ("jobs delete", "nightly"),
        ("executions list --job", "nightly"),
        ("executions list --status", "Failed"),
        ("executions show", "nightly@latest"),
        ("executions retry", "nightly@latest"),
        ("executions wait", "nightly@latest"),
        ("logs --job", "nightly"),
        ("logs --execution", "nightly@latest"),
        ("metrics --job", "nightly"),
        ("metrics --queue", "orders"),
        ("alerts apply", "nightly-failed"),
        ("alerts delete", "nightly-failed"),
        ("alerts history", "nightly-failed"),
        ("queues create", "orders"),
        ("queues show", "orders"),
        ("queues delete", "orders"),
        ("queues peek", "orders"),
        ("queues send", "orders"),
        ("queues dead-letters list", "orders"),
        ("images build", "worker"),
        ("images push", "worker"),
        ("query --saved", "failures-by-job"),
        ("--profile", "local"),
        ("status --output", "jsonl"),
        ("infra", "what-if"),
        ("infra deploy --set", "retentionInDays="),
        ("start nightly --env", "COUNT="),
        ("start -e", "SPEED="),
        ("start nightly --image", "worker"),
        ("metrics --job nightly --aggregation", "Maximum"),
        ("metrics --queue orders --metric", "ActiveMessages"),
        ("metrics --job nightly --metric", "Executions"),
        ("query --saved failures-by-job --param", "since="),
        ("queues dead-letters list orders --reason", "MaxDeliveryCountExceeded"),
        ("local fault add lock-lost --queue", "orders"),
        ("local fault add", "server-busy"),
    ],
)
def test_a_place_for_a_name_completes_it(words: str, name: str) -> None:
    assert name in completed(*words.split())


def test_a_variable_is_one_of_the_job_that_is_named() -> None:
    assert completed("start", "nightly", "--env") == {"COUNT="}


def test_saved_queries_of_the_project_complete_too(tmp_path: Path) -> None:
    settings = tmp_path / "orchestrator.toml"
    settings.write_text(f'queries_folder = "kql"\n{SETTINGS}', encoding="utf-8")
    (tmp_path / "kql").mkdir()
    text = "// Orders.\ndeclare query_parameters(of:string);\nprint of"
    (tmp_path / "kql" / "orders.kql").write_text(text, encoding="utf-8")
    assert {"orders", "failures-by-job"} <= completed("query", "--saved")
    assert completed("query", "--saved", "orders", "--param") == {"of="}


def test_a_metric_is_one_of_what_is_named() -> None:
    assert "ActiveMessages" not in completed("metrics", "--job", "nightly", "--metric")


def test_what_the_service_knows_completes_besides(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def names(kind: str, settings: object, profile: object, queue: str = "") -> list[list[str]]:
        asked.append((kind, queue))
        return [["seen there"]]

    monkeypatch.setattr(known_names, "names", names)
    assert "seen there" in completed("alerts", "delete")
    assert "seen there" in completed("queues", "dead-letters", "list", "orders", "--reason")
    assert completed("local", "fault", "remove") == {"seen there"}
    assert completed("local", "fault", "remove", "seen there") == set()
    assert set(asked) == {("alerts", ""), ("reasons", "orders"), ("faults", "")}


@pytest.mark.parametrize(
    "words",
    [
        "start",
        "stop",
        "queues show",
        "--profile",
        "start nightly --env",
        "query --saved",
        "query --saved failures-by-job --param",
        "infra deploy --set",
        "alerts delete",
        "queues dead-letters list orders --reason",
    ],
)
def test_wrong_settings_do_not_reach_the_prompt(
    words: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "orchestrator.toml").write_text("[jobs\nenv = 3", encoding="utf-8")
    completed(*words.split())
    (tmp_path / "orchestrator.toml").write_text(
        "jobs = 3\nqueues = 1\nprofiles = []\n[alerts]\nx = 1", encoding="utf-8"
    )
    completed(*words.split())
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------------------------------- bash


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "words", "answer"),
    [
        # bash gives `nightly@la` as three words, and puts the answer in the place of `@la`.
        ("executions show nightly@la", ["executions", "show", "nightly", "@", "la"], "@latest"),
        ("executions show nightly@", ["executions", "show", "nightly", "@"], "@latest"),
        ("--profile=lo", ["--profile", "=", "lo"], "local"),
        ("stop --job=nig", ["stop", "--job", "=", "nig"], "nightly"),
        ("start --env COU", ["start", "--env", "COU"], "COUNT="),
        ("start 'nightl", ["start", "'nightl"], "nightly"),
        ("jobs sh", ["jobs", "sh"], "show"),
    ],
)
def test_bash_gets_what_it_puts_in_its_words_place(
    line: str, words: list[str], answer: str
) -> None:
    shell = ShellComplete(root, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE")
    script = shells.BashLine(root, {}, shell.prog_name, shell.complete_var).source()
    script = script.replace("$1)", f"{shlex.quote(sys.executable)} -m orchestrator)")
    asked = f"""{script}
        compopt() {{ echo "no space" >&2; }}
        COMP_WORDBREAKS=$' \\t\\n"\\'@><=;|&(:'
        COMP_WORDS=(orchestrator {shlex.join(words)}); COMP_CWORD={len(words)}
        COMP_LINE={shlex.quote(f"orchestrator {line} more")}
        COMP_POINT={len(f"orchestrator {line}")}
        _orchestrator_completion orchestrator; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=False)
    assert done.stdout == f"{answer}\n", done.stderr
    assert ("no space" in done.stderr) is answer.endswith("=")


def test_a_name_with_a_space_is_escaped_for_bash() -> None:
    bash = shells.BashLine(root, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE")
    assert bash.format_completion(CompletionItem("a reason's")) == "plain,a\\ reason\\'s"


def test_every_argument_that_takes_a_known_noun_completes() -> None:
    nouns = {"job", "jobs", "execution", "executions", "queue", "queues", "images"}
    unknown: list[str] = []

    def look(command: click.Command, path: str) -> None:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                below = command.get_command(context, name)
                assert below is not None
                look(below, f"{path} {name}")
            return
        for parameter in command.params:
            known = parameter._custom_shell_complete is not None
            if parameter.name in nouns and not known and "fault" not in path:
                unknown.append(f"{path} {parameter.name}")

    look(root, "orchestrator")
    assert not unknown


@pytest.mark.parametrize(
    ("shell", "words", "at", "expected"),
    [
        ("zsh", "orchestrator --output=js", "1", "plain\n--output=json\n_\n"),
        ("zsh", "orchestrator metrics --queue=or", "2", "plain\n--queue=orders\n"),
        ("fish", "orchestrator --output=js", "--output=js", "plain,--output=json\n"),
        ("fish", "orchestrator metrics --queue=or", "--queue=or", "plain,--queue=orders"),
    ],
)
def test_a_shell_that_replaces_the_whole_word_is_given_the_whole_word(
    shell: str, words: str, at: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", at)
    shells.register()
    made = get_completion_class(shell)
    assert made is not None
    assert expected in made(root, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE").complete() + "\n"


def test_fish_shows_what_a_command_does_with_its_commas() -> None:
    shells.register()
    made = get_completion_class("fish")
    assert made is not None
    script = made(root, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE").source()
    assert 'string split --max 1 ","' in script
