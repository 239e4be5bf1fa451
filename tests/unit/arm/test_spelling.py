"""Property names in any case, as `az` sends them."""

from __future__ import annotations

from orchestrator.localcloud.providers.spelling import respell


def test_names_get_the_apis_spelling_at_any_depth() -> None:
    assert respell(
        {
            "Location": "x",
            "Properties": {
                "workloadprofiles": [{"Name": "Consumption", "WorkloadProfileType": "Consumption"}]
            },
        }
    ) == {
        "location": "x",
        "properties": {
            "workloadProfiles": [{"name": "Consumption", "workloadProfileType": "Consumption"}]
        },
    }


def test_free_form_names_and_unknown_ones_stay_as_they_are() -> None:
    body = {
        "tags": {"Name": "a"},
        "properties": {"Something": 1, "metadata": {"QueueName": "q"}},
        "identity": {"userAssignedIdentities": {"/Subscriptions/X": {}}},
    }
    assert respell(body) == body
