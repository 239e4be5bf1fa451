"""Tag names and values that are made before any resource has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from tests.unit.arm.world import SUBSCRIPTION, THINGS, world

NAMES = f"/subscriptions/{SUBSCRIPTION}/tagNames"


async def test_names_are_made_used_and_deleted(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        assert (await arm.ask("PUT", f"{NAMES}/Cost")).status == 201
        assert (await arm.ask("PUT", f"{NAMES}/cost")).status == 200
        made = await arm.ask("PUT", f"{NAMES}/cost/tagValues/low")
        assert (made.status, made.body["tagValue"], made.body["count"]["value"]) == (201, "low", 0)
        await arm.put(f"{THINGS}/a", {"tags": {"COST": "high"}})
        [listed] = (await arm.get(NAMES))["value"]
        assert listed["tagName"] == "Cost"
        counts = {it["tagValue"]: it["count"]["value"] for it in listed["values"]}
        assert counts == {"low": 0, "high": 1}
        for path, words in (
            (f"{NAMES}/cost", "has values"),
            (f"{NAMES}/cost/tagValues/high", "use"),
        ):
            with pytest.raises(ArmError, match=words) as caught:
                await arm.ask("DELETE", path)
            assert caught.value.status == 409
        await arm.ask("DELETE", f"{THINGS}/a")
        assert (await arm.ask("DELETE", f"{NAMES}/cost/tagValues/low")).status == 200
        assert (await arm.ask("DELETE", f"{NAMES}/cost")).status == 200
        assert (await arm.ask("DELETE", f"{NAMES}/cost")).status == 204
        with pytest.raises(ArmError):
            await arm.ask("PUT", f"{NAMES}/other/tagValues/x")
        with pytest.raises(ArmError):
            await arm.ask("PUT", f"{NAMES}/a%3Cb".replace("%3C", "<"))
