"""What Azure has that the local cloud only needs the names of: regions, provider namespaces."""

from __future__ import annotations

LOCATIONS = {
    "westeurope": "West Europe",
    "northeurope": "North Europe",
    "swedencentral": "Sweden Central",
    "germanywestcentral": "Germany West Central",
    "francecentral": "France Central",
    "switzerlandnorth": "Switzerland North",
    "norwayeast": "Norway East",
    "polandcentral": "Poland Central",
    "italynorth": "Italy North",
    "spaincentral": "Spain Central",
    "uksouth": "UK South",
    "ukwest": "UK West",
    "eastus": "East US",
    "eastus2": "East US 2",
    "centralus": "Central US",
    "northcentralus": "North Central US",
    "southcentralus": "South Central US",
    "westcentralus": "West Central US",
    "westus": "West US",
    "westus2": "West US 2",
    "westus3": "West US 3",
    "canadacentral": "Canada Central",
    "canadaeast": "Canada East",
    "brazilsouth": "Brazil South",
    "eastasia": "East Asia",
    "southeastasia": "Southeast Asia",
    "japaneast": "Japan East",
    "japanwest": "Japan West",
    "koreacentral": "Korea Central",
    "australiaeast": "Australia East",
    "australiasoutheast": "Australia Southeast",
    "centralindia": "Central India",
    "southindia": "South India",
    "southafricanorth": "South Africa North",
    "uaenorth": "UAE North",
    "qatarcentral": "Qatar Central",
    "israelcentral": "Israel Central",
    "australiacentral": "Australia Central",
    "australiacentral2": "Australia Central 2",
    "austriaeast": "Austria East",
    "belgiumcentral": "Belgium Central",
    "brazilsoutheast": "Brazil Southeast",
    "chilecentral": "Chile Central",
    "denmarkeast": "Denmark East",
    "francesouth": "France South",
    "germanynorth": "Germany North",
    "indonesiacentral": "Indonesia Central",
    "jioindiacentral": "Jio India Central",
    "jioindiawest": "Jio India West",
    "koreasouth": "Korea South",
    "malaysiawest": "Malaysia West",
    "mexicocentral": "Mexico Central",
    "newzealandnorth": "New Zealand North",
    "norwaywest": "Norway West",
    "southafricawest": "South Africa West",
    "swedensouth": "Sweden South",
    "switzerlandwest": "Switzerland West",
    "taiwannorth": "Taiwan North",
    "taiwannorthwest": "Taiwan Northwest",
    "uaecentral": "UAE Central",
    "westindia": "West India",
    "centraluseuap": "Central US EUAP",
    "eastus2euap": "East US 2 EUAP",
}

GEOGRAPHIES = frozenset(
    (
        *("asia", "asiapacific", "australia", "brazil", "canada", "europe", "france", "germany"),
        *("india", "israel", "italy", "japan", "korea", "newzealand", "norway", "poland", "qatar"),
        *("singapore", "southafrica", "sweden", "switzerland", "uae", "uk", "unitedstates"),
    )
)
"""Where data may be that is in no single region, as that of Azure AD B2C directories is."""

NAMESPACES = {
    "Microsoft.App": [
        *("jobs", "jobs/executions", "managedEnvironments", "managedEnvironments/storages"),
        *("managedEnvironments/certificates", "managedEnvironments/managedCertificates"),
        *("managedEnvironments/daprComponents", "sandboxGroups", "sandboxGroups/vnetConnections"),
        *("containerApps", "containerApps/revisions", "containerApps/revisions/replicas"),
        *("operations", "locations", "locations/usages"),
    ],
    "Microsoft.Authorization": ["roleAssignments", "roleDefinitions", "locks"],
    "Microsoft.ContainerRegistry": [
        "registries",
        "registries/replications",
        "checkNameAvailability",
    ],
    "Microsoft.Insights": [
        *("diagnosticSettings", "metricAlerts", "actionGroups", "scheduledQueryRules"),
        *("components", "eventtypes", "metrics", "metricDefinitions", "alertrules"),
    ],
    "Microsoft.KeyVault": ["vaults", "vaults/secrets", "checkNameAvailability"],
    "Microsoft.ManagedIdentity": [
        "userAssignedIdentities",
        "userAssignedIdentities/federatedIdentityCredentials",
    ],
    "Microsoft.Network": [
        *("virtualNetworks", "virtualNetworks/subnets", "networkSecurityGroups", "routeTables"),
        *("publicIPAddresses", "natGateways", "networkInterfaces", "privateEndpoints"),
        *("privateEndpoints/privateDnsZoneGroups", "privateDnsZones"),
        *("privateDnsZones/virtualNetworkLinks", "privateDnsZones/A"),
    ],
    "Microsoft.OperationalInsights": ["workspaces", "workspaces/tables"],
    "Microsoft.Resources": [
        *("resourceGroups", "subscriptions", "tenants", "deployments", "tags"),
        *("deploymentStacks", "deploymentScripts", "templateSpecs"),
    ],
    "Microsoft.ServiceBus": [
        *("namespaces", "namespaces/queues", "namespaces/topics", "checkNameAvailability"),
        *("namespaces/topics/subscriptions", "namespaces/topics/subscriptions/rules"),
        *("namespaces/authorizationRules", "namespaces/networkRuleSets"),
    ],
    "Microsoft.Storage": ["storageAccounts", "checkNameAvailability"],
}


def location_names() -> list[str]:
    """Display names of all regions."""
    return list(LOCATIONS.values())
