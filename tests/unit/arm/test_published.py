"""What services publish of resources that are only kept: addresses, keys, state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.localcloud.arm.errors import ArmError
from orchestrator.localcloud.providers.network.networks import Network
from orchestrator.localcloud.providers.published import of_type
from tests.unit.arm.world import GROUP, TENANT, World, world

AT = f"{GROUP}/providers"


async def made(arm: World, path: str, /, **body: Any) -> Any:
    return (await arm.put(f"{AT}/{path}", {"location": "eastus", **body}))["properties"]


async def posted(arm: World, path: str) -> Any:
    return (await arm.ask("POST", f"{AT}/{path}")).body


@pytest.mark.parametrize(
    ("path", "body", "wanted"),
    [
        ("Microsoft.Web/sites/Shop", {}, {"defaultHostName": "shop.azurewebsites.net"}),
        (
            "Microsoft.CognitiveServices/accounts/ai",
            {"kind": "OpenAI", "properties": {"customSubDomainName": "own"}},
            {"endpoint": "https://own.openai.azure.com/"},
        ),
        (
            "Microsoft.CognitiveServices/accounts/ai",
            {"kind": "FormRecognizer"},
            {"endpoint": "https://eastus.api.cognitive.microsoft.com/"},
        ),
        (
            "Microsoft.DocumentDB/databaseAccounts/db",
            {},
            {"documentEndpoint": "https://db.documents.azure.com:443/"},
        ),
        (
            "Microsoft.Sql/servers/db",
            {},
            {"fullyQualifiedDomainName": "db.database.windows.net"},
        ),
        (
            "Microsoft.DBforPostgreSQL/flexibleServers/db",
            {},
            {"fullyQualifiedDomainName": "db.postgres.database.azure.com"},
        ),
        ("Microsoft.Cache/redis/c", {}, {"hostName": "c.redis.cache.windows.net", "sslPort": 6380}),
        (
            "Microsoft.EventHub/namespaces/n",
            {},
            {"serviceBusEndpoint": "https://n.servicebus.windows.net:443/"},
        ),
        (
            "Microsoft.EventGrid/topics/t",
            {},
            {"endpoint": "https://t.eastus-1.eventgrid.azure.net/api/events"},
        ),
        (
            "Microsoft.EventGrid/namespaces/n",
            {},
            {"topicsConfiguration": {"hostname": "n.eastus-1.eventgrid.azure.net"}},
        ),
        ("Microsoft.ApiManagement/service/a", {}, {"gatewayUrl": "https://a.azure-api.net"}),
        (
            "Microsoft.AppConfiguration/configurationStores/a",
            {},
            {"endpoint": "https://a.azconfig.io"},
        ),
        (
            "Microsoft.DigitalTwins/digitalTwinsInstances/t",
            {},
            {"hostName": "t.api.eus.digitaltwins.azure.net"},
        ),
        (
            "Microsoft.ServiceFabric/clusters/c",
            {},
            {"clusterEndpoint": "https://eastus.servicefabric.azure.com"},
        ),
        (
            "Microsoft.ServiceFabric/managedClusters/c",
            {"properties": {"dnsName": "mine"}},
            {"fqdn": "mine.eastus.cloudapp.azure.com"},
        ),
        (
            "Microsoft.DevCenter/devcenters/d",
            {},
            {"devCenterUri": f"https://{TENANT}-d.eastus.devcenter.azure.com/"},
        ),
        (
            "Microsoft.DevCenter/projects/p",
            {"properties": {"devCenterId": f"{AT}/Microsoft.DevCenter/devcenters/d"}},
            {"devCenterUri": f"https://{TENANT}-d.eastus.devcenter.azure.com/"},
        ),
        (
            "Microsoft.Network/expressRouteCircuits/c",
            {},
            {"serviceProviderProvisioningState": "NotProvisioned"},
        ),
    ],
)
async def test_addresses(tmp_path: Path, path: str, body: Any, wanted: Any) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        found = await made(arm, path, **body)
        assert {name: found[name] for name in wanted} == wanted


async def test_keys_stay_the_same_until_the_resource_is_made_anew(tmp_path: Path) -> None:
    path = "Microsoft.Search/searchServices/s"
    async with world(tmp_path) as arm:
        await arm.group()
        await made(arm, path)
        keys = await posted(arm, f"{path}/listAdminKeys")
        assert keys["primaryKey"] != keys["secondaryKey"]
        shown = await arm.put(f"{AT}/{path}", {"location": "eastus"})
        assert keys["primaryKey"] not in str(shown)
        assert "publishedSeed" not in shown
        assert await posted(arm, f"{path}/listAdminKeys") == keys
        await arm.ask("DELETE", f"{AT}/{path}")
        await made(arm, path)
        assert await posted(arm, f"{path}/listAdminKeys") != keys


async def test_application_insights_has_one_key_in_all_its_parts(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        found = await made(
            arm, "Microsoft.Insights/components/a", properties={"RetentionInDays": 30}
        )
        assert f"InstrumentationKey={found['InstrumentationKey']};" in found["ConnectionString"]
        assert found["ConnectionString"].endswith(f"ApplicationId={found['AppId']}")
        assert (found["RetentionInDays"], found["Flow_Type"]) == (30, "Bluefield")


async def test_a_namespace_has_its_root_rule_and_others_that_were_made(tmp_path: Path) -> None:
    hub = "Microsoft.EventHub/namespaces/n"
    async with world(tmp_path) as arm:
        await arm.group()
        await made(arm, hub)
        await made(arm, f"{hub}/eventhubs/h", properties={"partitionCount": 2})
        await made(arm, f"{hub}/eventhubs/h/authorizationRules/send")
        root = await posted(arm, f"{hub}/authorizationRules/RootManageSharedAccessKey/listKeys")
        assert root["primaryConnectionString"] == (
            "Endpoint=sb://n.servicebus.windows.net/;"
            f"SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={root['primaryKey']}"
        )
        send = await posted(arm, f"{hub}/eventhubs/h/authorizationRules/send/listKeys")
        assert send["primaryConnectionString"].endswith(";EntityPath=h")
        assert send["primaryKey"] != root["primaryKey"]
        with pytest.raises(ArmError) as caught:
            await posted(arm, f"{hub}/authorizationRules/none/listKeys")
        assert caught.value.status == 404
        assert (await arm.get(f"{AT}/{hub}/eventhubs/h"))["properties"]["partitionIds"] == [
            "0",
            "1",
        ]


async def test_a_sites_settings_are_listed_wherever_they_were_written(tmp_path: Path) -> None:
    site = "Microsoft.Web/sites/s"
    async with world(tmp_path) as arm:
        await arm.group()
        inner = {"siteConfig": {"appSettings": [{"name": "A", "value": "1"}]}}
        await made(arm, site, properties=inner)
        listed = await posted(arm, f"{site}/config/appsettings/list")
        assert listed["properties"] == {"A": "1"}
        await made(arm, f"{site}/config/appsettings", properties={"A": "2", "B": "3"})
        listed = await posted(arm, f"{site}/config/appsettings/list")
        assert listed["properties"] == {"A": "2", "B": "3"}
        keys = await posted(arm, f"{site}/host/default/listkeys")
        assert set(keys["functionKeys"]) == {"default"}


async def test_a_cluster_has_identities_of_its_parts(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        given = {
            "dnsPrefix": "lab",
            "oidcIssuerProfile": {"enabled": True},
            "addonProfiles": {
                "omsagent": {"enabled": True, "config": {}},
                "other": {"enabled": False},
            },
        }
        found = await made(arm, "Microsoft.ContainerService/managedClusters/k", properties=given)
        assert found["fqdn"].startswith("lab-")
        assert found["oidcIssuerProfile"]["enabled"] is True
        assert found["oidcIssuerProfile"]["issuerURL"].startswith("https://eastus.oic.")
        assert found["identityProfile"]["kubeletidentity"]["objectId"]
        assert set(found["addonProfiles"]["omsagent"]) == {"enabled", "config", "identity"}
        assert found["addonProfiles"]["other"] == {"enabled": False}


async def test_parts_of_a_load_balancer_have_ids(tmp_path: Path) -> None:
    path = "Microsoft.Network/loadBalancers/b"
    async with world(tmp_path) as arm:
        await arm.group()
        found = await made(arm, path, properties={"backendAddressPools": [{"name": "p"}]})
        assert found["backendAddressPools"][0]["id"] == f"{AT}/{path}/backendAddressPools/p"


async def test_a_firewalls_address_is_of_its_subnet(tmp_path: Path) -> None:
    subnet = {"name": "AzureFirewallSubnet", "properties": {"addressPrefix": "10.1.2.0/26"}}
    async with world(tmp_path, Network()) as arm:
        await arm.group()
        space = {"addressPrefixes": ["10.1.0.0/16"]}
        net = "Microsoft.Network/virtualNetworks/n"
        await made(arm, net, properties={"addressSpace": space, "subnets": [subnet]})
        inner = {"subnet": {"id": f"{AT}/{net}/subnets/AzureFirewallSubnet"}}
        found = await made(
            arm,
            "Microsoft.Network/azureFirewalls/f",
            properties={"ipConfigurations": [{"name": "c", "properties": inner}]},
        )
        config = found["ipConfigurations"][0]
        assert config["properties"]["privateIPAddress"] == "10.1.2.4"


async def test_passwords_are_not_shown(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        server = "Microsoft.Sql/servers/s"
        await made(arm, server, properties={"administratorLoginPassword": "hush"})
        profile = {"adminUsername": "a", "adminPassword": "hush"}
        machine = "Microsoft.Compute/virtualMachines/v"
        await made(arm, machine, properties={"osProfile": profile})
        shown = [await arm.get(f"{AT}/{path}") for path in (server, machine)]
        assert "hush" not in str(shown)
        assert shown[1]["properties"]["osProfile"] == {"adminUsername": "a"}


async def test_an_action_of_another_type_is_none_of_this_one(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        await made(arm, "Microsoft.Web/sites/s")
        with pytest.raises(ArmError) as caught:
            await posted(arm, "Microsoft.Web/sites/s/listAdminKeys")
        assert (caught.value.code, caught.value.status) == ("NotFound", 404)


def test_types_are_found_in_any_case() -> None:
    assert of_type("microsoft.web/SITES") is of_type("Microsoft.Web/sites")
    assert of_type("Microsoft.Portal/dashboards") is None


SMALL = f"{AT}/Microsoft.Network/virtualNetworks/v/subnets/small"
_FRONT = {"frontendIPConfigurations": [{"name": "f", "properties": {"subnet": {"id": SMALL}}}]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Microsoft.Cache/redisEnterprise/c", {"sku": "Enterprise_E10"}),
        ("Microsoft.Network/loadBalancers/b", {"properties": _FRONT}),
        (
            "Microsoft.Network/loadBalancers/b",
            {"properties": {"frontendIPConfigurations": [{"name": "f", "properties": "none"}]}},
        ),
        (
            "Microsoft.StorageCache/amlFilesystems/l",
            {"properties": {"filesystemSubnet": "<net>/subnets/a"}},
        ),
        ("Microsoft.Devices/IotHubs/h/IotHubKeys/own", {}),
    ],
)
async def test_what_is_kept_can_be_shown(tmp_path: Path, path: str, body: Any) -> None:
    """One that could not would fail each list that it is in."""
    async with world(tmp_path, Network()) as arm:
        await arm.group()
        await made(
            arm,
            "Microsoft.Network/virtualNetworks/v",
            properties={
                "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
                "subnets": [{"name": "small", "properties": {"addressPrefix": "10.0.0.0/30"}}],
            },
        )
        await made(arm, "Microsoft.Devices/IotHubs/h")
        await made(arm, path, **body)
        assert (await arm.get(f"{AT}/{path}"))["name"] == path.rpartition("/")[2]
        if "IotHubKeys" in path:
            assert (await posted(arm, f"{path}/listKeys"))["keyName"] == "own"


@pytest.mark.parametrize(
    ("path", "regenerate", "body", "keys", "changed"),
    [
        ("CognitiveServices/accounts/ai", "regenerateKey", {"keyName": "Key2"}, "listKeys", "key2"),
        ("Cache/redis/c", "regenerateKey", {"keyType": "Primary"}, "listKeys", "primaryKey"),
        ("Search/searchServices/s", "regenerateAdminKey/secondary", {}, "listAdminKeys", "second"),
        (
            *("DocumentDB/databaseAccounts/db", "regenerateKey", {"keyKind": "primaryReadonly"}),
            *("listKeys", "primaryReadonly"),
        ),
        (
            "SignalRService/signalR/r",
            "regenerateKey",
            {"keyType": "Primary"},
            "listKeys",
            "primary",
        ),
        ("Maps/accounts/m", "regenerateKey", {"keyType": "primary"}, "listKeys", "primaryKey"),
        (
            *("EventHub/namespaces/n/authorizationRules/RootManageSharedAccessKey",),
            *("regenerateKeys", {"keyType": "PrimaryKey"}, "listKeys", "primary"),
        ),
        ("EventGrid/topics/t", "regenerateKey", {"keyName": "key1"}, "listKeys", "key1"),
        ("Batch/batchAccounts/b", "regenerateKeys", {"keyName": "Secondary"}, "listKeys", "second"),
        ("Web/staticSites/w", "resetapikey", {}, "listSecrets", "properties"),
        (
            *("ApiManagement/service/a/subscriptions/master", "regeneratePrimaryKey", {}),
            *("listSecrets", "primaryKey"),
        ),
    ],
)
async def test_a_key_is_made_anew_and_the_others_stay(
    tmp_path: Path, path: str, regenerate: str, body: dict[str, Any], keys: str, changed: str
) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        namespace, kind, name, *_ = path.split("/")
        await made(arm, f"Microsoft.{namespace}/{kind}/{name}")
        at = f"Microsoft.{path}"
        before = await posted(arm, f"{at}/{keys}")
        answer = await arm.ask("POST", f"{AT}/{at}/{regenerate}", body)
        after = await posted(arm, f"{at}/{keys}")
        assert answer.body in (None, after)
        other = {key for key in before if before[key] != after[key]}
        assert other
        assert all(key.startswith(changed) for key in other)
        # A change of the account leaves them as they are.
        await arm.ask("PATCH", f"{AT}/Microsoft.{namespace}/{kind}/{name}", {"tags": {"a": "b"}})
        assert await posted(arm, f"{at}/{keys}") == after
        shown = await arm.get(f"{AT}/Microsoft.{namespace}/{kind}/{name}")
        assert not [key for key in shown if key.startswith("published")]


async def test_a_key_of_a_configuration_store_is_made_anew_by_its_id(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        at = "Microsoft.AppConfiguration/configurationStores/c"
        await made(arm, at)
        before = (await posted(arm, f"{at}/listKeys"))["value"]
        answer = await arm.ask("POST", f"{AT}/{at}/regenerateKey", {"id": before[1]["id"]})
        after = (await posted(arm, f"{at}/listKeys"))["value"]
        assert answer.body == after[1]
        assert after[1]["value"] != before[1]["value"]
        assert [after[n] for n in (0, 2, 3)] == [before[n] for n in (0, 2, 3)]


async def test_a_key_that_there_is_not_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        at = "Microsoft.CognitiveServices/accounts/ai"
        await made(arm, at, kind="OpenAI")
        with pytest.raises(ArmError, match="There is no key 'key3': key1, key2 are"):
            await arm.ask("POST", f"{AT}/{at}/regenerateKey", {"keyName": "key3"})


async def test_secrets_in_lists_are_not_shown(tmp_path: Path) -> None:
    variables = [{"name": "A", "secureValue": "hush"}, {"name": "B", "value": "b"}]
    container = {"name": "c", "properties": {"image": "x", "environmentVariables": variables}}
    async with world(tmp_path) as arm:
        await arm.group()
        given = {
            "containers": [container],
            "imageRegistryCredentials": [{"server": "s", "username": "u", "password": "hush"}],
        }
        shown = await made(arm, "Microsoft.ContainerInstance/containerGroups/g", properties=given)
        assert "hush" not in str(shown)
        assert shown["containers"][0]["properties"]["environmentVariables"] == [
            {"name": "A"},
            {"name": "B", "value": "b"},
        ]
        assert shown["imageRegistryCredentials"] == [{"server": "s", "username": "u"}]


async def test_a_webhook_of_a_registry_tells_its_address_when_asked_for_it(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        await made(arm, "Microsoft.ContainerRegistry/registries/images", sku={"name": "Basic"})
        path = "Microsoft.ContainerRegistry/registries/images/webhooks/told"
        given = {"serviceUri": "https://x.example/hook", "actions": ["push"]}
        shown = await made(arm, path, properties=given)
        assert "serviceUri" not in shown
        assert (shown["status"], shown["actions"]) == ("enabled", ["push"])
        assert await posted(arm, f"{path}/getCallbackConfig") == {
            "serviceUri": "https://x.example/hook",
            "customHeaders": {},
        }
        assert await posted(arm, f"{path}/listEvents") == {"value": []}
        assert (await posted(arm, f"{path}/ping"))["id"]


async def test_a_zone_has_four_name_servers(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        path = f"{AT}/Microsoft.Network/dnsZones/example.com"
        found = (await arm.put(path, {"location": "global"}))["properties"]
        assert [server[2] for server in found["nameServers"]] == ["1", "2", "3", "4"]
        assert found["zoneType"] == "Public"


async def test_what_older_templates_ask_for(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        account = "Microsoft.Automation/automationAccounts/a"
        assert "/accounts/" in (await made(arm, account))["RegistrationUrl"]
        keys = (await posted(arm, f"{account}/listKeys"))["keys"]
        assert [key["KeyName"] for key in keys] == ["Primary", "Secondary"]
        await made(arm, "Microsoft.Web/sites/shop")
        told = await posted(arm, "Microsoft.Web/sites/shop/functions/run/listSecrets")
        assert told["trigger_url"].startswith("https://shop.azurewebsites.net/api/run?code=")
        await made(arm, "Microsoft.Logic/integrationAccounts/i")
        found = await posted(arm, "Microsoft.Logic/integrationAccounts/i/listCallbackUrl")
        assert "/integrationAccounts/" in found["value"]
        # An empty text where an object may be is nothing.
        assert await made(arm, "Microsoft.Portal/dashboards/d", properties="") == {
            "provisioningState": "Succeeded"
        }


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("Microsoft.Network/expressRouteCircuits/c", "serviceKey"),
        ("Microsoft.DevTestLab/labs/l", "uniqueIdentifier"),
        ("Microsoft.ServiceNetworking/trafficControllers/t", "configurationEndpoints"),
        ("Microsoft.Databricks/workspaces/w", "parameters"),
        ("Microsoft.ElasticSan/elasticSans/s/volumegroups/g/volumes/v", "storageTarget"),
    ],
)
async def test_what_is_drawn_stays(tmp_path: Path, path: str, member: str) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        names = path.split("/")
        for end in range(3, len(names), 2):
            await made(arm, "/".join(names[:end]))
        first = (await made(arm, path))[member]
        assert first
        assert (await made(arm, path))[member] == first


async def test_a_host_pools_token_is_told_where_one_was_asked_for(tmp_path: Path) -> None:
    pool = "Microsoft.DesktopVirtualization/hostPools/p"
    async with world(tmp_path) as arm:
        await arm.group()
        assert "registrationInfo" not in await made(arm, pool)
        assert (await posted(arm, f"{pool}/listRegistrationTokens")) == {"value": []}
        info = {
            "registrationTokenOperation": "Update",
            "expirationTime": "2030-01-01T00:00:00Z",
        }
        shown = await made(arm, pool, properties={"registrationInfo": info})
        [told] = (await posted(arm, f"{pool}/listRegistrationTokens"))["value"]
        assert told == {
            "token": shown["registrationInfo"]["token"],
            "expirationTime": "2030-01-01T00:00:00Z",
        }


async def test_a_connections_key_is_written_alone(tmp_path: Path) -> None:
    async with world(tmp_path) as arm:
        await arm.group()
        properties = {"connectionType": "IPsec", "sharedKey": "hush"}
        shown = await made(arm, "Microsoft.Network/connections/c", properties=properties)
        assert shown["connectionType"] == "IPsec"
        assert "sharedKey" not in shown


async def test_what_lies_in_an_automation_account_is_where_that_is(tmp_path: Path) -> None:
    account = f"{AT}/Microsoft.Automation/automationAccounts/a"
    async with world(tmp_path) as arm:
        await arm.group()
        await arm.put(account, {"location": "northeurope"})
        module = await arm.put(f"{account}/powerShell72Modules/m", {"properties": {}})
        assert module["location"] == "northeurope"


async def test_dns_of_a_mail_domain_of_ones_own(tmp_path: Path) -> None:
    domain = "Microsoft.Communication/emailServices/m/domains"
    async with world(tmp_path) as arm:
        await arm.group()
        await made(arm, "Microsoft.Communication/emailServices/m")
        own = {"domainManagement": "CustomerManaged"}
        records = (await made(arm, f"{domain}/x.example", properties=own))["verificationRecords"]
        assert records["Domain"]["name"] == records["SPF"]["name"] == "x.example"
        assert records["DKIM2"]["type"] == "CNAME"
        managed = {"domainManagement": "AzureManaged"}
        of_azure = await made(arm, f"{domain}/AzureManagedDomain", properties=managed)
        assert of_azure["verificationRecords"] == {}


async def test_secrets_of_an_authorization_server_are_listed(tmp_path: Path) -> None:
    server = "Microsoft.ApiManagement/service/a/authorizationServers/s"
    async with world(tmp_path) as arm:
        await arm.group()
        await made(arm, "Microsoft.ApiManagement/service/a")
        shown = await made(arm, server, properties={"clientId": "c", "clientSecret": "hush"})
        assert shown["clientId"] == "c"
        assert "clientSecret" not in shown
        assert await posted(arm, f"{server}/listSecrets") == {"clientSecret": "hush"}


@pytest.mark.parametrize(
    ("prefix", "address"), [("10.0.0.0/16", "10.0.64.4"), ("10.1.0.0/23", "10.1.0.132")]
)
async def test_a_firewall_of_a_hub_has_its_address_there(
    tmp_path: Path, prefix: str, address: str
) -> None:
    hub = f"{AT}/Microsoft.Network/virtualHubs/h"
    async with world(tmp_path) as arm:
        await arm.group()
        await arm.put(hub, {"location": "eastus", "properties": {"addressPrefix": prefix}})
        firewall = "Microsoft.Network/azureFirewalls/f"
        properties = {"virtualHub": {"id": hub}, "hubIPAddresses": {"publicIPs": {"count": 1}}}
        shown = await made(arm, firewall, properties=properties)
        assert shown["hubIPAddresses"] == {"publicIPs": {"count": 1}, "privateIPAddress": address}


async def test_an_environment_of_app_services_is_inside_its_subnet(tmp_path: Path) -> None:
    async with world(tmp_path, Network()) as arm:
        await arm.group()
        network = "Microsoft.Network/virtualNetworks/n"
        subnet = {"name": "s", "properties": {"addressPrefix": "10.0.1.0/24"}}
        space = {"addressPrefixes": ["10.0.0.0/16"]}
        await made(arm, network, properties={"addressSpace": space, "subnets": [subnet]})
        shown = await made(
            arm,
            "Microsoft.Web/hostingEnvironments/ase",
            properties={
                "virtualNetwork": {"id": f"{AT}/{network}/subnets/s"},
                "internalLoadBalancingMode": "Web, Publishing",
            },
        )
        assert shown["dnsSuffix"] == "ase.appserviceenvironment.net"
        assert shown["networkingConfiguration"] == {"internalInboundIpAddresses": ["10.0.1.4"]}


@pytest.mark.parametrize(
    ("path", "fqdn"), [("CNAME/www", "www.shop.example."), ("TXT/@", "shop.example.")]
)
async def test_records_have_their_whole_names(tmp_path: Path, path: str, fqdn: str) -> None:
    zone = "Microsoft.Network/dnsZones/shop.example"
    async with world(tmp_path) as arm:
        await arm.group()
        await made(arm, zone)
        assert (await made(arm, f"{zone}/{path}"))["fqdn"] == fqdn


async def test_a_gateway_has_its_own_name_beside_those_it_is_given(tmp_path: Path) -> None:
    path = "Microsoft.ApiManagement/service/a"
    given = {"type": "Proxy", "hostName": "api.shop.example", "defaultSslBinding": True}
    async with world(tmp_path) as arm:
        await arm.group()
        shown = await made(arm, path, properties={"hostnameConfigurations": [given]})
        names = shown["hostnameConfigurations"]
        assert [(it["hostName"], it["defaultSslBinding"]) for it in names] == [
            ("a.azure-api.net", False),
            ("api.shop.example", True),
        ]
        # What is read can be sent again.
        again = await made(arm, path, properties={"hostnameConfigurations": names})
        assert again["hostnameConfigurations"] == names


async def test_a_workflow_is_called_where_it_is(tmp_path: Path) -> None:
    flow = "Microsoft.Logic/workflows/f"
    async with world(tmp_path) as arm:
        await arm.group()
        shown = await made(arm, flow)
        told = await posted(arm, f"{flow}/listCallbackUrl")
        assert told["basePath"] == shown["accessEndpoint"]
        assert told["value"].startswith(f"{told['basePath']}?")
