"""Resource Graph through azure-mgmt-resourcegraph."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.resourcegraph import ResourceGraphClient
from azure.mgmt.resourcegraph.models import (
    FacetError,
    FacetRequest,
    FacetResult,
    QueryRequest,
    QueryRequestOptions,
)

from tests.conftest import CloudInThread


@pytest.fixture(scope="module")
def graph(cloud: CloudInThread) -> Iterator[ResourceGraphClient]:
    with ResourceGraphClient(
        cloud.credential,
        base_url=cloud.connection["resource_manager"],
        connection_verify=cloud.ca,
    ) as client:
        yield client


def test_a_query_is_answered_page_by_page(graph: ResourceGraphClient) -> None:
    query = (
        "AuthorizationResources | where type =~ 'Microsoft.Authorization/roleDefinitions' "
        "| project id, name, role = tostring(properties.roleName)"
    )
    names: list[str] = []
    options = QueryRequestOptions(top=400)
    while True:
        answer = graph.resources(QueryRequest(query=query, options=options))
        names += [row["role"] for row in answer.data]
        if answer.skip_token is None:
            break
        options = QueryRequestOptions(skip_token=answer.skip_token)
    assert len(names) == answer.total_records > 900
    assert {"Owner", "Reader", "AcrPull"} <= set(names)


def test_facets_and_tables_are_read(graph: ResourceGraphClient, cloud: CloudInThread) -> None:
    request = QueryRequest(
        query="ResourceContainers | where type == 'microsoft.resources/subscriptions'",
        subscriptions=[cloud.connection["subscription"]],
        options=QueryRequestOptions(result_format="table"),
        facets=[FacetRequest(expression="type"), FacetRequest(expression="nope(")],
    )
    answer = graph.resources(request)
    assert answer.data["columns"][0] == {"name": "id", "type": "string"}
    assert len(answer.data["rows"]) == 1
    counted, failed = answer.facets
    assert isinstance(counted, FacetResult)
    assert counted.total_records == 1
    assert isinstance(failed, FacetError)
    assert failed.errors[0].code == "ParserFailure"


def test_a_refusal_is_read(graph: ResourceGraphClient) -> None:
    with pytest.raises(HttpResponseError) as caught:
        graph.resources(QueryRequest(query="where where"))
    assert caught.value.status_code == 400
    assert caught.value.error is not None
    assert [item.code for item in caught.value.error.details] == ["InvalidQuery", "ParserFailure"]
