// The Service Bus namespace and its queues. Nobody has a key to it: tokens and roles only.

@description('Name of the namespace.')
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

@description('Messaging units of a Premium namespace.')
param capacity int

@description('Whether it is reached from the internet.')
@allowed([
  'Enabled'
  'Disabled'
])
param publicNetworkAccess string

@description('The queues: name and properties.')
param queues array

@description('Where its logs and metrics go; empty: nowhere.')
param workspaceId string

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' = {
  name: name
  location: location
  tags: tags
  sku: sku == 'Premium'
    ? {
        name: sku
        tier: sku
        capacity: capacity
      }
    : {
        name: sku
        tier: sku
      }
  properties: {
    disableLocalAuth: true
    minimumTlsVersion: '1.2'
    publicNetworkAccess: publicNetworkAccess
  }
}

resource namespaceQueues 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' = [
  for queue in queues: {
    parent: namespace
    name: queue.name
    properties: queue.properties
  }
]

// The service has no version of diagnostic settings that is not a preview and knows categoryGroup.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(workspaceId)) {
  name: 'to-workspace'
  scope: namespace
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
output id string = namespace.id

@description('Name.')
output name string = namespace.name

@description('Host name, without scheme and port.')
output hostName string = split(split(namespace.properties.serviceBusEndpoint, '://')[1], ':')[0]

@description('Name and resource id of each queue.')
output queueIds array = [
  for (queue, i) in queues: {
    name: queue.name
    id: namespaceQueues[i].id
  }
]
