"""From an image's name to a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orchestrator.image_names import repository_names
from orchestrator.localcloud.runtime.images import Images
from orchestrator.localcloud.runtime.model import StartFailure

TOML = """
[images.sender]
process = ["{python}", "jobs/sender.py"]

[images."team/sender"]
process = ["team"]
workdir = "sub"

[images.broken]
process = "python jobs/broken.py"
"""


@pytest.fixture
def images(tmp_path: Path) -> Images:
    (tmp_path / "orchestrator.toml").write_text(TOML)
    return Images(tmp_path)


@pytest.mark.parametrize(
    ("image", "names"),
    [
        ("sender", ["sender"]),
        ("sender:1.0", ["sender"]),
        ("acr.azurecr.io/sender:1.0", ["acr.azurecr.io/sender", "sender"]),
        ("acr.azurecr.io/team/sender", ["acr.azurecr.io/team/sender", "team/sender", "sender"]),
        ("localhost:5000/sender", ["localhost:5000/sender", "sender"]),
        ("localhost/sender@sha256:" + "a" * 64, ["localhost/sender", "sender"]),
        ("acr.azurecr.io/sender:1@sha256:" + "a" * 64, ["acr.azurecr.io/sender", "sender"]),
        ("team/sender", ["team/sender", "sender"]),
    ],
)
def test_names_to_look_for(image: str, names: list[str]) -> None:
    assert repository_names(image) == names


def test_an_image_runs_in_the_project_with_this_python(images: Images, tmp_path: Path) -> None:
    found = images.resolve("acr.azurecr.io/sender:1.0")
    assert found.process == (sys.executable, "jobs/sender.py")
    assert found.folder == tmp_path


def test_the_fullest_name_wins(images: Images, tmp_path: Path) -> None:
    found = images.resolve("acr.azurecr.io/team/sender:2")
    assert found.process == ("team",)
    assert found.folder == tmp_path / "sub"
    assert images.resolve("other/sender").process[1] == "jobs/sender.py"


def test_an_unknown_image_names_what_is_known(images: Images) -> None:
    with pytest.raises(StartFailure) as failure:
        images.resolve("acr.azurecr.io/nobody:1")
    assert failure.value.permanent
    assert failure.value.reason == "ImagePullFailure"
    message = failure.value.message
    assert message.startswith('Failed to pull image "acr.azurecr.io/nobody:1"')
    assert "broken, sender, team/sender" in message
    assert "[images.nobody]" in message


def test_a_process_that_is_no_list_is_named(images: Images) -> None:
    with pytest.raises(StartFailure, match=r"\[images\.broken\].* needs process"):
        images.resolve("broken")


def test_a_changed_file_counts_from_the_next_start(images: Images, tmp_path: Path) -> None:
    images.resolve("sender")
    file = tmp_path / "orchestrator.toml"
    file.write_text('[images.late]\nprocess = ["late"]\n')
    os.utime(file, ns=(1, 1))
    assert images.resolve("late").process == ("late",)


@pytest.mark.parametrize("text", ["[images", "\ufeff\x00", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "orchestrator.toml").write_text(text, encoding="utf-8")
    with pytest.raises(StartFailure, match=r"orchestrator\.toml cannot be read"):
        Images(tmp_path).resolve("sender")


def test_without_a_project_there_is_no_image() -> None:
    with pytest.raises(StartFailure, match="without a project"):
        Images(None).resolve("sender")
