"""The real compiler is used where it is found."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from orchestrator.bicep import BicepError, front
from orchestrator.errors import SettingsError
from tests.unit.bicep.compiling import write

# Says what the real one says: a template on standard output, findings on standard error.
REAL = f"""#!{sys.executable}
import json, sys
command, path, _ = sys.argv[1:]
text = open(path).read()
if "wrong" in text:
    print(f"{{path}}(1,5) : Warning no-unused-vars: unused", file=sys.stderr)
    print(f"{{path}}(1,9) : Error BCP057: no such name", file=sys.stderr)
    sys.exit(1)
print(f"{{path}}(1,5) : Warning no-unused-vars: unused", file=sys.stderr)
template = {{"made": "by the real one"}}
if command == "build":
    print(json.dumps(template))
else:
    print(json.dumps({{
        "parametersJson": json.dumps({{"parameters": {{"p": {{"value": 1}}}}}}),
        "templateJson": json.dumps(template),
    }}))
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiler is found, whatever this machine has."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.delenv(front.VARIABLE, raising=False)


def real(path: Path, text: str = REAL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_built_in_compiler_where_there_is_no_other(tmp_path: Path) -> None:
    built = front.build(write(tmp_path, {"main.bicep": "output o int = 1\n"}))
    assert built.compiler == front.THE_BUILT_IN
    assert built.template["outputs"] == {"o": {"type": "int", "value": 1}}


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
@pytest.mark.parametrize("place", ["path/bicep", "home/.azure/bin/bicep", "home/.azd/bin/bicep"])
def test_the_real_compiler_where_it_is_found(tmp_path: Path, place: str) -> None:
    program = real(tmp_path / place)
    source = write(tmp_path, {"main.bicep": "var a = 1\n"})
    built = front.build(source)
    assert built.compiler == f"bicep {program}"
    assert built.template == {"made": "by the real one"}
    assert len(built.warnings) == 1
    params = front.build_params(
        write(tmp_path, {"p.bicepparam": "using 'main.bicep'\nparam p = 1\n"})
    )
    assert params.parameters == {"p": {"value": 1}}
    assert params.template == {"made": "by the real one"}
    assert params.using == source


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_the_real_compilers_errors_are_told_and_only_they(tmp_path: Path) -> None:
    real(tmp_path / "path" / "bicep")
    source = write(tmp_path, {"main.bicep": "var a = wrong\n"})
    with pytest.raises(BicepError) as caught:
        front.build(source)
    assert str(caught.value) == f"{source}(1,9) : Error BCP057: no such name"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_a_variable_chooses_the_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real(tmp_path / "path" / "bicep")
    source = write(tmp_path, {"main.bicep": "output o int = 1\n"})
    monkeypatch.setenv(front.VARIABLE, "builtin")
    assert front.build(source).compiler == front.THE_BUILT_IN
    other = real(tmp_path / "elsewhere" / "my-bicep")
    monkeypatch.setenv(front.VARIABLE, str(other))
    assert front.build(source).compiler == f"bicep {other}"
    monkeypatch.setenv(front.VARIABLE, str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="no program"):
        front.build(source)


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a script")
def test_a_compiler_that_writes_no_template(tmp_path: Path) -> None:
    real(tmp_path / "path" / "bicep", f"#!{sys.executable}\nprint('hello')\n")
    with pytest.raises(BicepError, match="wrote no JSON"):
        front.build(write(tmp_path, {"main.bicep": ""}))


def test_values_from_the_built_in_compiler(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"p.bicepparam": "using 'm.bicep'\nparam p = 1 + 1\n", "m.bicep": "param p int\n"},
    )
    built = front.build_params(path)
    assert json.loads(json.dumps(built.parameters)) == {"p": {"value": 2}}
    assert built.using == tmp_path / "m.bicep"
    assert built.compiler == front.THE_BUILT_IN
