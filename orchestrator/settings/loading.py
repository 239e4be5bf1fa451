"""Finding `orchestrator.toml`, reading it, and saying everything that is wrong with it at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import Problem, SettingsError, SettingsNotFound
from orchestrator.settings.checks import NAME_RULES, TABLE_RULES, check_alerts, check_queue_names
from orchestrator.settings.reader import Reader, listed, near
from orchestrator.settings.tables import ProfileSpec, Settings

FILE_NAME = "orchestrator.toml"


def find(start: Path | None = None) -> Path | None:
    """The `orchestrator.toml` of this folder or of the nearest parent that has one."""
    folder = (start or Path.cwd()).absolute()
    for candidate in (folder, *folder.parents):
        path = candidate / FILE_NAME
        if path.is_file():
            return path
    return None


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    start: Path | None = None,
) -> Settings:
    """The settings of a file: `path`, else ORCHESTRATOR_SETTINGS, else the one that `find` finds.

    Without any file: settings with one profile, "local", and no jobs. Raises SettingsError with
    every problem of the file, SettingsNotFound when a named file is not there.
    """
    environ = os.environ if environ is None else environ
    named = path or environ.get("ORCHESTRATOR_SETTINGS")
    found = Path(named) if named else find(start)
    if found is None:
        folder = (start or Path.cwd()).absolute()
        return Settings(profiles={"local": ProfileSpec(kind="local")}, folder=folder)
    if found.is_dir():
        found = found / FILE_NAME
    found = found.absolute()
    text = _text(found)
    data = _parse(found, text)
    try:
        return check(data, found)
    except SettingsError as error:
        from orchestrator.settings.slips import line_of

        for problem in error.problems:
            problem.line = line_of(text, problem.where)
        in_order = sorted(error.problems, key=lambda problem: problem.line or 0)
        raise _refusal(found, in_order) from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsNotFound(
            f"There is no settings file {path}.", "Make one: orchestrator init", path=path
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{path} can't be read: {error.strerror or error}.",
            "Check the file's permissions.",
            path=path,
        ) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise _refusal(
            path, [Problem(f"line {line}", "it is not UTF-8 text; save the file as UTF-8")]
        ) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        from orchestrator.settings.slips import place_and_slip

        where, slip = place_and_slip(str(error), text)
        raise _refusal(path, [Problem(where, f"not valid TOML: {slip}.")]) from None


def _refusal(path: Path | None, problems: Sequence[Problem]) -> SettingsError:
    name = str(path) if path else "the settings"
    if len(problems) == 1:
        message = f"{name}: {problems[0]}"
    else:
        lines = "".join(f"\n  {problem}" for problem in problems)
        message = f"{name} has {len(problems)} problems:{lines}"
    return SettingsError(
        message,
        "Every key is described in docs/settings.md of the repository.",
        path=path,
        problems=problems,
    )


def check(data: Mapping[str, Any], path: Path | None, folder: Path | None = None) -> Settings:
    """Typed settings from what a TOML file says. Raises SettingsError with every problem."""
    reader = Reader(NAME_RULES, TABLE_RULES)
    values = reader.table(Settings, data, "", hidden=("path", "folder"))
    profiles: dict[str, Any] = values.setdefault("profiles", {})
    written = data.get("profiles")
    if not written:
        profiles["local"] = ProfileSpec(kind="local")
    if not written or isinstance(written, dict):
        _check_default_profile(reader, data, values, list(written or profiles))
    check_queue_names(reader, values)
    check_alerts(reader, values)
    if reader.problems:
        raise _refusal(path, reader.problems)
    return Settings(**values, path=path, folder=folder or (path.parent if path else Path.cwd()))


def _check_default_profile(
    reader: Reader, data: Mapping[str, Any], values: dict[str, Any], names: list[str]
) -> None:
    chosen = data.get("default_profile")
    if isinstance(chosen, str):
        if chosen not in names:
            reader.problem(
                "default_profile",
                f'there is no profile "{chosen}"; there are {listed(names)}',
                near(chosen, names),
            )
    elif chosen is None:
        if "local" in names:
            values["default_profile"] = "local"
        elif len(names) == 1:
            values["default_profile"] = names[0]
        else:
            reader.problem("default_profile", f"say which it is: {listed(names)}")
