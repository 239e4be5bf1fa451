"""What the Makefile can make: a phony target without a rule succeeds and does nothing."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILE = (Path(__file__).resolve().parents[3] / "Makefile").read_text(encoding="utf-8")


def test_every_target_has_a_rule_and_is_explained() -> None:
    (declared,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    explained = re.findall(r"^([a-z]+):.*## .", MAKEFILE, re.MULTILINE)
    assert sorted(explained) == sorted(declared.split())
