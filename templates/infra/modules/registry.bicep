// The registry that the jobs' images are in. Pulling and pushing take a role; there is no admin user.

@description('Name of the registry.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Tier.')
@allowed([
  'Basic'
  'Standard'
  'Premium'
])
param sku string

@description('Whether it is spread over the zones of the region (Premium).')
param zoneRedundant bool

@description('Whether it is reached from the internet. Disabled takes Premium.')
@allowed([
  'Enabled'
  'Disabled'
])
param publicNetworkAccess string

@description('Where its logs and metrics go; empty: nowhere.')
param workspaceId string

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: sku
  }
  properties: {
    adminUserEnabled: false
    publicNetworkAccess: publicNetworkAccess
    zoneRedundancy: zoneRedundant ? 'Enabled' : 'Disabled'
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  name: 'to-workspace'
  scope: registry
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'AllMetrics'
        enabled: true
      }
    ]
  }
}

@description('Resource id.')
output id string = registry.id
