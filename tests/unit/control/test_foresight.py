"""What is told beforehand: near misses of variables and images."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.azure.profile import Profile
from orchestrator.planning.foresight import image_note, variable_notes
from orchestrator.settings import ImageSpec, ProfileSpec, Settings

KNOWN = ("MESSAGE_COUNT", "MIN_NUMBER", "WORD")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["MESSAGE_CUONT"], ["MESSAGE_COUNT"]),
        (["message_count"], ["MESSAGE_COUNT"]),
        (["MESSAGE_COUNT"], []),
        (["GREETING"], []),
        (["WORDS", "MESSAGE_COUNTS"], ["WORD", "MESSAGE_COUNT"]),
        (["MIN_NUMBER", "MAX_NUMBER"], []),  # a pair of which both are given
    ],
)
def test_a_new_variable_that_is_nearly_one_of_the_jobs_is_told(
    given: list[str], meant: list[str]
) -> None:
    notes = variable_notes(KNOWN, given)
    assert [note.rpartition(" mean ")[2] for note in notes] == [f"{name}?" for name in meant]
    assert all(note.startswith(f"{name} is new") for note, name in zip(notes, given, strict=False))


def profile(kind: Any, executor: Any = "process") -> Profile:
    return Profile(
        name="p", kind=kind, resource_group="rg", spec=ProfileSpec(kind=kind, executor=executor)
    )


SETTINGS = Settings(images={name: ImageSpec(process=("true",)) for name in ("sender", "receiver")})


@pytest.mark.parametrize("image", ["sender", "acr.azurecr.io/team/sender:1.0", ""])
def test_an_image_of_the_settings_needs_no_note(image: str) -> None:
    for each in (profile("local"), profile("local", "container"), profile("azure")):
        assert image_note(image, SETTINGS, each) == ""


def test_an_image_that_is_misspelt_is_told_everywhere() -> None:
    for each in (profile("local"), profile("local", "container"), profile("azure")):
        assert image_note("reciever:1", SETTINGS, each) == (
            "The image reciever:1 is none of [images]; did you mean receiver?"
        )


def test_an_image_that_comes_from_elsewhere_is_told_where_images_are_processes_alone() -> None:
    assert image_note("alpine:3", SETTINGS, profile("azure")) == ""
    assert image_note("alpine:3", SETTINGS, profile("local", "container")) == ""
    assert image_note("alpine:3", SETTINGS, profile("local")) == (
        "The image alpine:3 is none of [images], which has receiver, sender."
    )
    assert image_note("alpine:3", Settings(), profile("local")) == ""
