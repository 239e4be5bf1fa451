// The Container Apps environment that the jobs run in, on the Consumption profile: nothing is paid
// while no job runs.

@description('Name of the environment.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Name of the workspace that logs go to.')
param workspaceName string

@description('Resource id of the subnet that it is in; empty: no virtual network of one\'s own.')
param subnetId string

@description('Whether it is spread over the zones of the region. Takes a subnet.')
param zoneRedundant bool

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = {
  name: workspaceName
}

resource environment 'Microsoft.App/managedEnvironments@2026-01-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: workspace.properties.customerId
        sharedKey: workspace.listKeys().primarySharedKey
      }
    }
    vnetConfiguration: empty(subnetId)
      ? null
      : {
          infrastructureSubnetId: subnetId
          internal: false
        }
    workloadProfiles: [
      {
        name: 'Consumption'
        workloadProfileType: 'Consumption'
      }
    ]
    zoneRedundant: zoneRedundant
  }
}

@description('Resource id.')
output id string = environment.id

@description('Name.')
output name string = environment.name
