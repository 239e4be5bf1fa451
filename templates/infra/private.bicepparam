// Closed and redundant: Premium tiers, private endpoints, spread over the zones of the region.
// Namespace and registry are then reached from the virtual network alone: `orchestrator queues` and
// `images push` have to run in it too (a jump host, a VPN, a build agent).
//
// What it costs, roughly, in US dollars a month (list prices of 2026, West Europe):
//   Service Bus Premium     680 for the one messaging unit
//   registry Premium         50
//   private endpoints        15 for the two, and 0.01 a GB
//   private DNS zones         1 for the two
//   load balancer            25, and the public addresses of the environment
//   logs                      0 up to 5 GB a month, then about 2.80 a GB

using 'main.bicep'

param serviceBusSku = 'Premium'
param serviceBusCapacity = 1
param registrySku = 'Premium'
param retentionInDays = 90
param diagnosticsEnabled = true
param virtualNetworkEnabled = true
param privateEndpointsEnabled = true
param zoneRedundant = true
