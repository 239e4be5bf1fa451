// An identity, and on each queue that it uses the one role that it needs there.

@description('Name of the identity.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Name of the Service Bus namespace.')
param namespaceName string

@description('The queues it sends to.')
param sends array = []

@description('The queues it receives from.')
param receives array = []

@description('The queues it manages: reading the length of one takes that.')
param manages array = []

// https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/integration
var dataSender = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '69a216fc-b8fb-44d8-bc22-1f3c2cd27a39')
var dataReceiver = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0')
var dataOwner = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '090c5cfd-751d-490a-894a-3ce6f1109419')

resource namespace 'Microsoft.ServiceBus/namespaces@2024-01-01' existing = {
  name: namespaceName
}

resource sentTo 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [
  for queue in sends: {
    parent: namespace
    name: queue
  }
]

resource receivedFrom 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [
  for queue in receives: {
    parent: namespace
    name: queue
  }
]

resource managed 'Microsoft.ServiceBus/namespaces/queues@2024-01-01' existing = [
  for queue in manages: {
    parent: namespace
    name: queue
  }
]

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

// principalType lets an assignment be made before the directory has spread a new identity.
resource sender 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (queue, i) in sends: {
    name: guid(sentTo[i].id, identity.id, dataSender)
    scope: sentTo[i]
    properties: {
      roleDefinitionId: dataSender
      principalId: identity.properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource receiver 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (queue, i) in receives: {
    name: guid(receivedFrom[i].id, identity.id, dataReceiver)
    scope: receivedFrom[i]
    properties: {
      roleDefinitionId: dataReceiver
      principalId: identity.properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

resource owner 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (queue, i) in manages: {
    name: guid(managed[i].id, identity.id, dataOwner)
    scope: managed[i]
    properties: {
      roleDefinitionId: dataOwner
      principalId: identity.properties.principalId
      principalType: 'ServicePrincipal'
    }
  }
]

@description('Resource id.')
output id string = identity.id

@description('Name.')
output name string = identity.name

@description('The id that a program asks for a token with (AZURE_CLIENT_ID).')
output clientId string = identity.properties.clientId

@description('The id that roles are given to.')
output principalId string = identity.properties.principalId
