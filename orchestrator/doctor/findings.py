"""What the doctor says: one finding a line, with its evidence and the next step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from orchestrator.records import Column, Records
from orchestrator.results import Record

# "problem": it does not work, or will not. "warning": it may soon not. "note": worth knowing.
Level = Literal["problem", "warning", "note", "fine"]
LEVELS: tuple[Level, ...] = ("problem", "warning", "note", "fine")


class Finding(Record, frozen=True, kw_only=True):
    """One thing that was looked at.

    `check`: what was looked at (identity, permissions, image, …). `job`: "" for what concerns all.
    `what`: what is so, one sentence. `evidence`: what shows it. `next`: what to do, "" when nothing
    is to be done.
    """

    level: Level
    check: str
    what: str
    job: str = ""
    evidence: str = ""
    next: str = ""

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.evidence, self.next) if part)


class Findings(Records[Finding]):
    """All findings, the gravest first; those of level "fine" are what was looked at and is well."""

    noun = "findings"
    columns = (
        Column("level", "level", "status"),
        Column("job", "job"),
        Column("check", "check"),
        Column("what", "finding"),
        Column("evidence", "evidence"),
        Column("next", "next"),
    )

    def __init__(self, items: Iterable[Finding] = ()) -> None:
        super().__init__(sorted(items, key=lambda f: LEVELS.index(f.level)))

    @property
    def problems(self) -> Findings:
        """Those because of which something does not work."""
        return Findings(f for f in self if f.level == "problem")

    @property
    def worth_telling(self) -> Findings:
        """All but those that are fine."""
        return Findings(f for f in self if f.level != "fine")
