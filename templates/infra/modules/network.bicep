// A virtual network of two subnets: one is the environment's, one holds private endpoints.

@description('Name of the virtual network.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags object

@description('Address range of the network.')
param addressPrefix string

@description('Name of the environment\'s subnet.')
param environmentSubnetName string

@description('Address range of the environment: at least /27.')
param environmentSubnetPrefix string

@description('Name of the subnet of private endpoints.')
param privateEndpointSubnetName string

@description('Address range of the private endpoints.')
param privateEndpointSubnetPrefix string

// The subnets are part of the network's own body: as resources of their own, another deployment of
// the network would take them away in between.
resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: environmentSubnetName
        properties: {
          addressPrefix: environmentSubnetPrefix
          delegations: [
            {
              name: 'environment'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: privateEndpointSubnetName
        properties: {
          addressPrefix: privateEndpointSubnetPrefix
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }
}

@description('Resource id.')
output id string = network.id
