"""`alerts list` where there is none yet."""

from __future__ import annotations

from pathlib import Path

from tests.cli.asking import ok
from tests.cli.conftest import SETTINGS, Cli


def test_where_there_is_none_yet_it_says_how_those_of_the_settings_are_made(
    cli: Cli, tmp_path: Path
) -> None:
    state = cli.folder / ".orchestrator" / "local"
    settings = SETTINGS.replace('kind = "local"', f"kind = 'local'\nstate = '{state}'", 1)
    alert = '[alerts.talker-failed]\nwhen = "failed"\njob = "talker"\n'
    (tmp_path / "orchestrator.toml").write_text(settings + alert)
    assert ok(cli("alerts", "list")) == ""
    assert cli("alerts", "list").err == "No alert rules.\n"
    assert Cli(tmp_path)("alerts", "list").err == (
        "No alert rules yet; the settings have 1: orchestrator alerts apply\n"
    )
