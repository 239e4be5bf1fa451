// The right to pull images from a registry, which may be in another resource group.

@description('Name of the registry.')
param registryName string

@description('Name of the identity that may pull.')
param identityName string

@description('Resource group of the identity.')
param identityResourceGroup string

@description('Subscription of the identity.')
param identitySubscription string

var acrPull = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '7f951dda-4ed3-4680-a7ca-43fe172d538d')

resource registry 'Microsoft.ContainerRegistry/registries@2025-11-01' existing = {
  name: registryName
}

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
  scope: resourceGroup(identitySubscription, identityResourceGroup)
}

resource pull 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(registry.id, identity.id, acrPull)
  scope: registry
  properties: {
    roleDefinitionId: acrPull
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

@description('Name of the registry.')
output name string = registry.name

@description('Server of the registry.')
output loginServer string = registry.properties.loginServer
