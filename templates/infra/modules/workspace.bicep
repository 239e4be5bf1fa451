// The Log Analytics workspace: what the jobs write, and what the platform tells of them.

@description('Name of the workspace.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('For how many days logs are kept.')
param retentionInDays int

@description('Gigabytes a day that are taken; -1: no limit.')
param dailyQuotaInGigabytes int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionInDays
    workspaceCapping: {
      dailyQuotaGb: dailyQuotaInGigabytes
    }
  }
}

@description('Resource id.')
output id string = workspace.id

@description('Name.')
output name string = workspace.name

@description('The id by which it is queried.')
output customerId string = workspace.properties.customerId
