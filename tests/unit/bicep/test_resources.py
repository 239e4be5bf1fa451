"""Resources: names, ids, what is read of them, loops, conditions, dependencies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.bicep.compiling import Json, at, template

ACCOUNT = """
resource account 'Microsoft.Storage/storageAccounts@2023-01-01' = {
  name: 'store'
  location: 'westeurope'
}
"""
ACCOUNT_ID = "resourceId('Microsoft.Storage/storageAccounts', 'store')"
LOOP = """
param names string[]
resource accounts 'Microsoft.Storage/storageAccounts@2023-01-01' = [for (name, i) in names: {
  name: '${name}${i}'
  location: 'westeurope'
}]
"""


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("account.id", f"[{ACCOUNT_ID}]"),
        ("account.name", "store"),
        ("account.type", "Microsoft.Storage/storageAccounts"),
        ("account.apiVersion", "2023-01-01"),
        ("account.properties.x", f"[reference({ACCOUNT_ID}, '2023-01-01').x]"),
        ("account.location", f"[reference({ACCOUNT_ID}, '2023-01-01', 'full').location]"),
        ("account['properties'].x", f"[reference({ACCOUNT_ID}, '2023-01-01').x]"),
        ("account.listKeys().keys[0].value", f"[listKeys({ACCOUNT_ID}, '2023-01-01').keys[0].value]"),
        ("account.?tags.?a", f"[tryGet(tryGet(reference({ACCOUNT_ID}, '2023-01-01', 'full'), 'tags'), 'a')]"),
    ],
)  # fmt: skip
def test_what_is_read_of_a_resource(tmp_path: Path, read: str, expected: Json) -> None:
    found = template(tmp_path, f"{ACCOUNT}\noutput o string = {read}\n")
    assert at(found, "outputs/o/value") == expected


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        ("account.properties.x", "[reference('account').x]"),
        ("account.location", "[reference('account', '2023-01-01', 'full').location]"),
        ("account.listKeys().a", "[listKeys('account', '2023-01-01').a]"),
        ("account.id", f"[{ACCOUNT_ID}]"),
    ],
)
def test_with_symbolic_names_references_go_by_name(
    tmp_path: Path, read: str, expected: Json
) -> None:
    found = template(tmp_path, f"type t = string\n{ACCOUNT}\noutput o string = {read}\n")
    assert found["languageVersion"] == "2.0"
    assert list(found["resources"]) == ["account"]
    assert at(found, "outputs/o/value") == expected


def test_a_variable_that_needs_the_deployment_is_written_where_it_is_used(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        ACCOUNT
        + """
var early = account.name
var late = account.properties.x
var later = '${late}!'
output o string = later
""",
    )
    assert found["variables"] == {"early": "store"}
    assert (
        at(found, "outputs/o/value")
        == f"[format('{{0}}!', reference({ACCOUNT_ID}, '2023-01-01').x)]"
    )


def test_nested_children_and_children_by_parent(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        param on bool
        resource account 'Microsoft.Storage/storageAccounts@2023-01-01' = if (on) {
          name: 'store'
          resource blobs 'blobServices' = {
            name: 'default'
            resource box 'containers@2022-09-01' = if (account.name == 'x') {
              name: 'box'
            }
          }
        }
        resource other 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-01-01' = {
          parent: account::blobs
          name: 'other'
        }
        output o string = account::blobs::box.id
        """,
    )
    box, blobs, account, other = found["resources"]
    assert account["condition"] == "[parameters('on')]"
    assert blobs["condition"] == "[parameters('on')]"
    assert box["condition"] == "[and(parameters('on'), equals('store', 'x'))]"
    assert blobs["type"] == "Microsoft.Storage/storageAccounts/blobServices"
    assert box["apiVersion"] == "2022-09-01"
    assert box["name"] == "[format('{0}/{1}/{2}', 'store', 'default', 'box')]"
    assert blobs["dependsOn"] == [f"[{ACCOUNT_ID}]"]
    parent = "resourceId('Microsoft.Storage/storageAccounts/blobServices', 'store', 'default')"
    assert box["dependsOn"] == [f"[{ACCOUNT_ID}]", f"[{parent}]"]
    assert other["name"] == "[format('{0}/{1}/{2}', 'store', 'default', 'other')]"
    assert other["dependsOn"] == [f"[{parent}]"]
    assert at(found, "outputs/o/value") == (
        "[resourceId('Microsoft.Storage/storageAccounts/blobServices/containers', "
        "'store', 'default', 'box')]"
    )


def test_a_loop_of_resources_and_its_members(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        LOOP
        + """
resource one 'Microsoft.Rp/things@2020-01-01' = {
  name: 'one'
  properties: {
    first: accounts[0].properties.x
    id: accounts[1].id
    list: [for (name, n) in names: { at: n, id: accounts[n].id }]
  }
}
@batchSize(3)
resource pairs 'Microsoft.Rp/things@2020-01-01' = [for (name, k) in names: {
  name: 'pair${k}'
  properties: { mine: accounts[k].id }
}]
output ids array = [for n in range(0, 2): accounts[n].id]
""",
    )
    accounts, one, pairs = found["resources"].values()
    assert found["languageVersion"] == "2.0"  # string[] is a type of the newer language
    assert accounts["copy"] == {"name": "accounts", "count": "[length(parameters('names'))]"}
    assert accounts["name"] == "[format('{0}{1}', parameters('names')[copyIndex()], copyIndex())]"
    assert one["properties"]["first"] == "[reference(format('accounts[{0}]', 0)).x]"
    assert one["properties"]["id"] == (
        "[resourceId('Microsoft.Storage/storageAccounts', "
        "format('{0}{1}', parameters('names')[1], 1))]"
    )
    assert one["properties"]["copy"] == [
        {
            "name": "list",
            "count": "[length(parameters('names'))]",
            "input": {
                "at": "[copyIndex('list')]",
                "id": "[resourceId('Microsoft.Storage/storageAccounts', "
                "format('{0}{1}', parameters('names')[copyIndex('list')], copyIndex('list')))]",
            },
        }
    ]
    # an index of the property's own loop means nothing outside of it
    assert one["dependsOn"] == ["accounts"]
    assert pairs["copy"]["mode"] == "serial"
    assert pairs["copy"]["batchSize"] == 3
    assert pairs["dependsOn"] == ["[format('accounts[{0}]', copyIndex())]"]
    assert found["outputs"]["ids"] == {
        "type": "array",
        "copy": {
            "count": "[length(range(0, 2))]",
            "input": "[resourceId('Microsoft.Storage/storageAccounts', format('{0}{1}', "
            "parameters('names')[range(0, 2)[copyIndex()]], range(0, 2)[copyIndex()]))]",
        },
    }


def test_dependencies_lead_through_variables_and_existing_resources(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        ACCOUNT
        + """
resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-01-01' existing = {
  parent: account
  name: 'default'
}
var ids = { blobs: blobs.id }
resource user 'Microsoft.Rp/things@2020-01-01' = {
  name: 'user'
  properties: { ids: ids }
}
resource apart 'Microsoft.Rp/things@2020-01-01' = {
  name: 'apart'
  dependsOn: [ user ]
}
""",
    )
    account, user, apart = found["resources"]
    assert "dependsOn" not in account
    assert user["dependsOn"] == [f"[{ACCOUNT_ID}]"]
    assert apart["dependsOn"] == ["[resourceId('Microsoft.Rp/things', 'user')]"]


@pytest.mark.parametrize(
    ("scope", "properties", "identity"),
    [
        ("resourceGroup('other')", {}, "extensionResourceId(format('/subscriptions/{0}/resourceGroups/{1}', subscription().subscriptionId, 'other'), 'Microsoft.Rp/things', 'x')"),
        ("resourceGroup('sub', 'other')", {}, "extensionResourceId(format('/subscriptions/{0}/resourceGroups/{1}', 'sub', 'other'), 'Microsoft.Rp/things', 'x')"),
        ("subscription()", {}, "subscriptionResourceId('Microsoft.Rp/things', 'x')"),
        ("subscription('sub')", {}, "subscriptionResourceId('sub', 'Microsoft.Rp/things', 'x')"),
        ("tenant()", {}, "tenantResourceId('Microsoft.Rp/things', 'x')"),
        ("managementGroup('mg')", {}, "extensionResourceId(tenantResourceId('Microsoft.Management/managementGroups', 'mg'), 'Microsoft.Rp/things', 'x')"),
    ],
)  # fmt: skip
def test_existing_resources_elsewhere(
    tmp_path: Path, scope: str, properties: Json, identity: str
) -> None:
    found = template(
        tmp_path,
        f"""
        resource there 'Microsoft.Rp/things@2020-01-01' existing = {{
          name: 'x'
          scope: {scope}
        }}
        output o string = there.id
        """,
    )
    assert found["resources"] == []
    assert at(found, "outputs/o/value") == f"[{identity}]"


def test_a_resource_that_extends_another(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        ACCOUNT
        + """
resource lock 'Microsoft.Authorization/locks@2020-05-01' = {
  name: 'keep'
  scope: account
  properties: { level: 'CanNotDelete' }
}
output o string = lock.id
""",
    )
    lock = found["resources"][1]
    assert lock["scope"] == f"[{ACCOUNT_ID}]"
    assert lock["dependsOn"] == [f"[{ACCOUNT_ID}]"]
    assert at(found, "outputs/o/value") == (
        f"[extensionResourceId({ACCOUNT_ID}, 'Microsoft.Authorization/locks', 'keep')]"
    )


def test_existing_resources_by_symbolic_name(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        type t = string
        resource vault 'Microsoft.KeyVault/vaults@2023-07-01' existing = { name: 'v' }
        resource user 'Microsoft.Rp/things@2020-01-01' = {
          name: 'user'
          properties: { uri: vault.properties.vaultUri, id: vault.id }
        }
        """,
    )
    assert found["resources"]["vault"] == {
        "existing": True,
        "type": "Microsoft.KeyVault/vaults",
        "apiVersion": "2023-07-01",
        "name": "v",
    }
    assert found["resources"]["user"]["dependsOn"] == ["vault"]


def test_only_the_condition_guards_what_is_read_safely(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        param on bool
        resource a 'Microsoft.Rp/things@2020-01-01' = if (on) { name: 'a' }
        output id string? = a.?id
        output x string? = a.?properties.x
        """,
    )
    assert at(found, "outputs/id/value") == (
        "[if(parameters('on'), resourceId('Microsoft.Rp/things', 'a'), null())]"
    )
    assert at(found, "outputs/x/value") == (
        "[tryGet(if(parameters('on'), reference('a', '2020-01-01', 'full'), null()), "
        "'properties', 'x')]"
    )


def test_options_of_a_resource(tmp_path: Path) -> None:
    found = template(
        tmp_path,
        """
        @description('why it is here')
        @onlyIfNotExists()
        @retryOn(['Conflict'], 3)
        @waitUntil(x => x.properties.ready == true, 'PT10M')
        resource a 'Microsoft.Rp/things@2020-01-01' = { name: 'a' }
        """,
        bicepconfig__json='{"experimentalFeaturesEnabled": {"waitUntil": true}}',
    )
    assert found["languageVersion"] == "2.1-experimental"
    assert found["resources"]["a"]["@options"] == {
        "onlyIfNotExists": [],
        "retryOn": [["Conflict"], 3],
        "waitUntil": [
            "[lambda('x', equals(lambdaVariables('x').properties.ready, true()))]",
            "PT10M",
        ],
    }
    assert found["resources"]["a"]["metadata"] == {"description": "why it is here"}


def test_a_type_may_name_the_namespace_of_types(tmp_path: Path) -> None:
    found = template(tmp_path, "resource a 'az:My.Rp/things@2020-01-01' = { name: 'a' }\n")
    assert found["resources"][0]["type"] == "My.Rp/things"


def test_a_type_is_spelt_as_azure_spells_it(tmp_path: Path) -> None:
    """As the real compiler does: by the type's definition, of that API version."""
    source = """
    resource a 'microsoft.storage/storageaccounts@2022-09-01' = {
      name: 'a'
      resource b 'BlobServices' = { name: 'default' }
    }
    resource c 'Microsoft.Insights/diagnosticsettings@2017-05-01-preview' = { name: 'c', scope: a }
    resource d 'My.Rp/Things@2020-01-01' = { name: 'd' }
    """
    b, a, c, d = template(tmp_path, source)["resources"]
    assert a["type"] == "Microsoft.Storage/storageAccounts"
    assert b["type"] == "Microsoft.Storage/storageAccounts/blobServices"
    assert b["dependsOn"] == ["[resourceId('Microsoft.Storage/storageAccounts', 'a')]"]
    assert c["type"] == "microsoft.insights/diagnosticSettings"
    assert d["type"] == "My.Rp/Things"
