"""What can be set, typed or met is documented: this fails when something is not."""

import re
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

import orchestrator
from orchestrator import client, errors, settings
from orchestrator.cli.app import root
from orchestrator.cli.grammar import GlobalOption

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "jobs" / "README.md", *sorted(DOCS.glob("**/*.md"))]

TABLES = {
    "[profiles.<name>]": settings.ProfileSpec,
    "[queues.<name>]": settings.QueueSpec,
    "[images.<name>]": settings.ImageSpec,
    "[scripts.<name>]": settings.ScriptSpec,
    "[jobs.<name>]": settings.JobSpec,
    "[jobs.<name>.secrets]": settings.SecretSource,
    "[jobs.<name>.scale]": settings.Scale,
    "[[jobs.<name>.scale.rules]]": settings.ScaleRule,
    "[alerts.<name>]": settings.AlertSpec,
    "[action_groups.<name>]": settings.ActionGroupSpec,
    "[[action_groups.<name>.webhooks]]": settings.WebhookSpec,
}


def section(page: str, heading: str) -> str:
    """The part of a page under a heading, up to the next heading of any level."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"^#+ `{re.escape(heading)}`$(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no section `{heading}`"
    return found[1]


@pytest.mark.parametrize("heading", TABLES)
def test_every_key_of_the_settings_is_documented_and_no_other(heading: str) -> None:
    keys = {field.name for field in msgspec.structs.fields(TABLES[heading])}
    documented: set[str] = set()
    for row in re.findall(r"^\| (`[^|]*) \|", section("settings.md", heading), re.MULTILINE):
        documented |= set(re.findall(r"`([a-z_]+)`", row))
    assert documented == keys


def test_every_top_level_key_of_the_settings_is_documented() -> None:
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    for field in msgspec.structs.fields(settings.Settings):
        if field.name not in ("path", "folder"):
            assert re.search(rf"^## `\[?{field.name}", text, re.MULTILINE), field.name


def commands(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found += commands(command, f"{path} {name}")
        else:
            found.append((f"{path} {name}", command))
    return found


@pytest.mark.parametrize("path", [path for path, _ in commands(root, "orchestrator")])
def test_every_command_and_option_is_documented(path: str) -> None:
    command = dict(commands(root, "orchestrator"))[path]
    documented = section("cli.md", path)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not isinstance(parameter, GlobalOption):
            longest = max(parameter.opts, key=len)
            assert f"`{longest}" in documented, f"{path} {longest}"
    for option in set(re.findall(r"`(--[a-z-]+)", documented)):
        known = {n for p in command.params for n in (*p.opts, *p.secondary_opts)}
        assert option in known, f"{path} has no {option}"


def test_the_global_options_are_documented() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    for parameter in root.params:
        if isinstance(parameter, GlobalOption):
            assert f"`{max(parameter.opts, key=len)}" in text


@pytest.mark.parametrize("path", [path for path, _ in commands(root, "orchestrator")])
def test_every_command_has_a_help_page_with_an_example(path: str) -> None:
    shown = CliRunner().invoke(root, [*path.split()[1:], "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output


def all_errors(kind: type[errors.OrchestratorError]) -> list[type[errors.OrchestratorError]]:
    return [kind, *(below for sub in kind.__subclasses__() for below in all_errors(sub))]


def test_every_error_of_the_library_is_documented_with_its_exit_status() -> None:
    text = (DOCS / "library.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.MULTILINE))
    # A subclass that a room keeps to itself is met as its public parent.
    public = {k for k in all_errors(errors.OrchestratorError) if k.__module__ == errors.__name__}
    assert documented == {kind.__name__: str(kind.exit_code) for kind in public}


def test_for_every_error_of_the_library_there_is_something_to_do() -> None:
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE))
    public = {k for k in all_errors(errors.OrchestratorError) if k.__module__ == errors.__name__}
    assert {kind.__name__ for kind in public} <= set(documented)


def test_every_public_name_of_the_library_is_documented() -> None:
    text = (DOCS / "library.md").read_text(encoding="utf-8")
    code = " ".join(re.findall(r"`([^`\n]+)`", text))
    names = set(re.findall(r"\w+", code))
    assert not set(orchestrator.__all__) - names


def test_every_verb_of_the_library_is_documented() -> None:
    text = (DOCS / "library.md").read_text(encoding="utf-8")
    verbs = [name for name in dir(client.Orchestrator) if not name.startswith("_")]
    assert {"start", "query", "close"} < set(verbs)
    for name in (*verbs, "connect", "local_cloud"):
        assert re.search(rf"`(orchestrator\.)?{name}(\(|`)", text), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_inside_the_documentation_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def groups(group: click.Group, path: str) -> set[str]:
    found = {path}
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            found |= groups(command, f"{path} {name}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_documentation_names_no_command_that_does_not_exist(page: Path) -> None:
    known = {path for path, _ in commands(root, "orchestrator")}
    above = groups(root, "orchestrator") - {"orchestrator"}
    text = page.read_text(encoding="utf-8")
    spans = re.findall(r"```(?:bash|sh|console)\n(.*?)```", text, re.DOTALL)
    spans += re.findall(r"`(orchestrator [^`]+)`", text)
    for line in (line for span in spans for line in span.splitlines()):
        words = re.sub(r"--(profile|settings) \S+ ", "", line.strip().removeprefix("$ ")).split()
        if words[:1] != ["orchestrator"] or len(words) < 2 or words[1].startswith(("-", "…")):
            continue
        if words[1] == "·" or words[1].isupper():
            continue
        length = 2
        while (path := " ".join(words[:length])) in above and length < len(words):
            length += 1
        assert path in known or path in above, f"{page.name}: {line.strip()}"
