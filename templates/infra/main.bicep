// Everything that the jobs need, in one resource group: logs, network, registry, queues, identities
// with their roles, and the environment that runs them. The jobs themselves: ../jobs.

targetScope = 'resourceGroup'

// ---------------------------------------------------------------- names

@description('A short name of what the jobs do; names that are not given are made from it. Lower-case letters, digits and hyphens.')
@minLength(2)
@maxLength(20)
param workload string = 'jobs'

@description('The region of everything that has one.')
param location string = resourceGroup().location

@description('Tags of every resource that can have some.')
param tags object = {}

@description('Name of the Container Apps environment.')
param environmentName string = 'cae-${workload}'

@description('Name of the Log Analytics workspace.')
param workspaceName string = 'log-${workload}'

@description('Name of the Service Bus namespace: unique in the world.')
@minLength(6)
@maxLength(50)
param serviceBusNamespaceName string = 'sb-${workload}-${uniqueString(resourceGroup().id)}'

@description('Name of the container registry: unique in the world, letters and digits.')
@minLength(5)
@maxLength(50)
param registryName string = take('acr${replace(workload, '-', '')}${uniqueString(resourceGroup().id)}', 50)

@description('Resource id of a registry that exists already, here or in another resource group; then none is made. Empty: make one.')
param registryId string = ''

@description('Name of the virtual network.')
param virtualNetworkName string = 'vnet-${workload}'

@description('Beginning of the names of the identities that are made: one for each job, one to pull images, one for the scaler.')
param identityNamePrefix string = 'id-${workload}-'

@description('Name of one more identity, for jobs that are not in the parameter jobs: it may send to, receive from and manage every queue. Empty: none.')
param sharedIdentityName string = ''

// ---------------------------------------------------------------- what the jobs use

@description('The queues: name, and properties as Microsoft.ServiceBus/namespaces/queues has them.')
param queues array = [
  {
    name: 'parameters'
    properties: {
      lockDuration: 'PT5M'
      maxDeliveryCount: 10
      deadLetteringOnMessageExpiration: true
      requiresDuplicateDetection: true
      duplicateDetectionHistoryTimeWindow: 'PT10M'
    }
  }
  {
    name: 'results'
    properties: {
      lockDuration: 'PT5M'
      maxDeliveryCount: 10
      deadLetteringOnMessageExpiration: true
      requiresDuplicateDetection: true
      duplicateDetectionHistoryTimeWindow: 'PT10M'
    }
  }
]

@description('The jobs that get an identity of their own: name, and the queues it sends to and receives from. It may do that and nothing else.')
param jobs array = [
  {
    name: 'sender'
    sends: [
      'parameters'
    ]
    receives: []
  }
  {
    name: 'processor'
    sends: [
      'results'
    ]
    receives: [
      'parameters'
    ]
  }
  {
    name: 'receiver'
    sends: []
    receives: [
      'results'
    ]
  }
]

@description('The queues whose length starts a job. Reading a length takes the right to manage the queue: the identity of the scaler has it, no job does.')
param scaledQueues array = [
  'results'
]

// ---------------------------------------------------------------- how much of it

@description('Tier of the namespace. Duplicate detection takes Standard, private endpoints take Premium.')
@allowed([
  'Basic'
  'Standard'
  'Premium'
])
param serviceBusSku string = 'Standard'

@description('Messaging units of a Premium namespace.')
@allowed([
  1
  2
  4
  8
  16
])
param serviceBusCapacity int = 1

@description('Tier of the registry. Private endpoints and zone redundancy take Premium.')
@allowed([
  'Basic'
  'Standard'
  'Premium'
])
param registrySku string = 'Basic'

@description('For how many days the workspace keeps logs. The first 31 cost nothing.')
@minValue(30)
@maxValue(730)
param retentionInDays int = 30

@description('How many gigabytes of logs the workspace takes a day; what comes after is dropped. -1: no limit.')
param dailyQuotaInGigabytes int = -1

@description('Whether the namespace and the registry send their own logs and metrics to the workspace.')
param diagnosticsEnabled bool = true

@description('Whether everything that can be is spread over the zones of the region. Takes the virtual network, and Premium tiers.')
param zoneRedundant bool = false

// ---------------------------------------------------------------- network

@description('Whether the environment is in a virtual network of its own.')
param virtualNetworkEnabled bool = true

@description('Whether namespace and registry are reached through private endpoints alone. Takes the virtual network, and Premium tiers.')
param privateEndpointsEnabled bool = false

@description('Address range of the virtual network.')
param addressPrefix string = '10.42.0.0/16'

@description('Address range of the environment: at least /27.')
param environmentSubnetPrefix string = '10.42.0.0/24'

@description('Address range of the private endpoints.')
param privateEndpointSubnetPrefix string = '10.42.1.0/24'

// ---------------------------------------------------------------- resources

// Names and ids are passed on as they are known here, not as outputs of modules: what-if can then
// tell what changes inside a module before another one has run.
var workspaceId = resourceId('Microsoft.OperationalInsights/workspaces', workspaceName)
var virtualNetworkId = resourceId('Microsoft.Network/virtualNetworks', virtualNetworkName)
var environmentSubnetName = 'environment'
var environmentSubnetId = '${virtualNetworkId}/subnets/${environmentSubnetName}'
var privateEndpointSubnetName = 'private-endpoints'
var privateEndpointSubnetId = '${virtualNetworkId}/subnets/${privateEndpointSubnetName}'

module workspace 'modules/workspace.bicep' = {
  name: 'workspace'
  params: {
    name: workspaceName
    location: location
    tags: tags
    retentionInDays: retentionInDays
    dailyQuotaInGigabytes: dailyQuotaInGigabytes
  }
}

module network 'modules/network.bicep' = if (virtualNetworkEnabled) {
  name: 'network'
  params: {
    name: virtualNetworkName
    location: location
    tags: tags
    addressPrefix: addressPrefix
    environmentSubnetName: environmentSubnetName
    environmentSubnetPrefix: environmentSubnetPrefix
    privateEndpointSubnetName: privateEndpointSubnetName
    privateEndpointSubnetPrefix: privateEndpointSubnetPrefix
  }
}

module serviceBus 'modules/service-bus.bicep' = {
  name: 'service-bus'
  params: {
    name: serviceBusNamespaceName
    location: location
    tags: tags
    sku: serviceBusSku
    capacity: serviceBusCapacity
    publicNetworkAccess: privateEndpointsEnabled ? 'Disabled' : 'Enabled'
    queues: queues
    workspaceId: diagnosticsEnabled ? workspaceId : ''
  }
  dependsOn: [
    workspace
  ]
}

module registry 'modules/registry.bicep' = if (empty(registryId)) {
  name: 'registry'
  params: {
    name: registryName
    location: location
    tags: tags
    sku: registrySku
    zoneRedundant: zoneRedundant
    publicNetworkAccess: privateEndpointsEnabled ? 'Disabled' : 'Enabled'
    workspaceId: diagnosticsEnabled ? workspaceId : ''
  }
  dependsOn: [
    workspace
  ]
}

module environment 'modules/environment.bicep' = {
  name: 'environment'
  params: {
    name: environmentName
    location: location
    tags: tags
    workspaceName: workspaceName
    subnetId: virtualNetworkEnabled ? environmentSubnetId : ''
    zoneRedundant: zoneRedundant
  }
  dependsOn: [
    workspace
    network
  ]
}

// ---------------------------------------------------------------- identities and roles

module jobIdentities 'modules/queue-identity.bicep' = [
  for job in jobs: {
    name: 'identity-${job.name}'
    params: {
      name: '${identityNamePrefix}${job.name}'
      location: location
      tags: tags
      namespaceName: serviceBusNamespaceName
      sends: job.sends
      receives: job.receives
    }
    dependsOn: [
      serviceBus
    ]
  }
]

module scalerIdentity 'modules/queue-identity.bicep' = if (!empty(scaledQueues)) {
  name: 'identity-scaler'
  params: {
    name: '${identityNamePrefix}scaler'
    location: location
    tags: tags
    namespaceName: serviceBusNamespaceName
    manages: scaledQueues
  }
  dependsOn: [
    serviceBus
  ]
}

module sharedIdentity 'modules/shared-identity.bicep' = if (!empty(sharedIdentityName)) {
  name: 'identity-shared'
  params: {
    name: sharedIdentityName
    location: location
    tags: tags
    namespaceName: serviceBusNamespaceName
  }
  dependsOn: [
    serviceBus
  ]
}

module pullIdentity 'modules/identity.bicep' = {
  name: 'identity-pull'
  params: {
    name: '${identityNamePrefix}pull'
    location: location
    tags: tags
  }
}

var registrySubscription = empty(registryId) ? subscription().subscriptionId : split(registryId, '/')[2]
var registryResourceGroup = empty(registryId) ? resourceGroup().name : split(registryId, '/')[4]
var usedRegistryName = empty(registryId) ? registryName : last(split(registryId, '/'))

module registryAccess 'modules/registry-access.bicep' = {
  name: 'registry-access-${uniqueString(resourceGroup().id)}'
  scope: resourceGroup(registrySubscription, registryResourceGroup)
  params: {
    registryName: usedRegistryName
    identityName: '${identityNamePrefix}pull'
    identityResourceGroup: resourceGroup().name
    identitySubscription: subscription().subscriptionId
  }
  dependsOn: [
    registry
    pullIdentity
  ]
}

// ---------------------------------------------------------------- private endpoints

module serviceBusEndpoint 'modules/private-endpoint.bicep' = if (virtualNetworkEnabled && privateEndpointsEnabled) {
  name: 'service-bus-endpoint'
  params: {
    name: 'pe-${serviceBusNamespaceName}'
    location: location
    tags: tags
    serviceId: resourceId('Microsoft.ServiceBus/namespaces', serviceBusNamespaceName)
    groupId: 'namespace'
    zoneName: 'privatelink.servicebus.windows.net'
    virtualNetworkId: virtualNetworkId
    subnetId: privateEndpointSubnetId
  }
  dependsOn: [
    serviceBus
    network
  ]
}

module registryEndpoint 'modules/private-endpoint.bicep' = if (virtualNetworkEnabled && privateEndpointsEnabled && empty(registryId)) {
  name: 'registry-endpoint'
  params: {
    name: 'pe-${registryName}'
    location: location
    tags: tags
    serviceId: resourceId('Microsoft.ContainerRegistry/registries', registryName)
    groupId: 'registry'
    zoneName: 'privatelink.azurecr.io'
    virtualNetworkId: virtualNetworkId
    subnetId: privateEndpointSubnetId
  }
  dependsOn: [
    registry
    network
  ]
}

// ---------------------------------------------------------------- what the jobs are deployed with

@description('The region.')
output location string = location

@description('Name of the environment.')
output environmentName string = environment.outputs.name

@description('Resource id of the environment.')
output environmentId string = environment.outputs.id

@description('Name of the Service Bus namespace.')
output serviceBusNamespaceName string = serviceBus.outputs.name

@description('Host name of the Service Bus namespace.')
output serviceBusHostName string = serviceBus.outputs.hostName

@description('Name and resource id of each queue.')
output queueIds array = serviceBus.outputs.queueIds

@description('Name of the registry.')
output registryName string = registryAccess.outputs.name

@description('Server of the registry, as images are named with it.')
output registryLoginServer string = registryAccess.outputs.loginServer

@description('Name of the Log Analytics workspace.')
output workspaceName string = workspace.outputs.name

@description('Resource id of the Log Analytics workspace.')
output workspaceId string = workspace.outputs.id

@description('The id by which the workspace is queried.')
output workspaceCustomerId string = workspace.outputs.customerId

@description('The identity of each job: job, name, id, clientId, principalId.')
output identities array = [
  for (job, i) in jobs: {
    job: job.name
    name: jobIdentities[i].outputs.name
    id: jobIdentities[i].outputs.id
    clientId: jobIdentities[i].outputs.clientId
    principalId: jobIdentities[i].outputs.principalId
  }
]

@description('Resource id of the identity that images are pulled with.')
output pullIdentityId string = pullIdentity.outputs.id

@description('Resource id of the identity that the scaler reads the length of queues with; empty when no queue starts a job.')
output scalerIdentityId string = empty(scaledQueues) ? '' : scalerIdentity!.outputs.id

@description('Name of the identity of all other jobs; empty when there is none.')
output sharedIdentityName string = sharedIdentityName
