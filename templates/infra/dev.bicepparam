// Cheap: to develop with, and for workloads that need no network of their own.
//
// What it costs, roughly, in US dollars a month (list prices of 2026, West Europe):
//   Service Bus Standard    10, with 13 million operations in it
//   registry Basic           5
//   logs                     0 up to 5 GB a month, then about 2.80 a GB; at most 1 GB a day here
//   environment              0 while no job runs; a job's cpu and memory by the second, and the
//                            first 180,000 cpu seconds a month cost nothing
// A virtual network of one's own costs nothing, but the load balancer and the public addresses that
// the environment then keeps in it do: about 25 a month. So there is none.

using 'main.bicep'

param serviceBusSku = 'Standard'
param registrySku = 'Basic'
param retentionInDays = 30
param dailyQuotaInGigabytes = 1
param diagnosticsEnabled = false
param virtualNetworkEnabled = false
