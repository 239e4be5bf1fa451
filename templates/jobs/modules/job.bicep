// Any job: started by hand, by cron, or by what its scale rules see.

@description('Name of the job: 2 to 32 lower-case letters, digits and hyphens.')
@minLength(2)
@maxLength(32)
param name string

@description('Region: the environment\'s.')
param location string = resourceGroup().location

@description('Tags.')
param tags object = {}

@description('Resource id of the environment.')
param environmentId string

@description('Workload profile that it runs on; empty: Consumption.')
param workloadProfileName string = ''

@description('What starts it.')
@allowed([
  'Manual'
  'Schedule'
  'Event'
])
param triggerType string = 'Manual'

@description('With Schedule: when, as five fields of cron, in UTC.')
param cronExpression string = ''

@description('With Event: the scale rules.')
param scaleRules array = []

@description('With Event: executions started at each look at the rules, at least.')
@minValue(0)
param minExecutions int = 0

@description('With Event: and at most.')
@minValue(1)
param maxExecutions int = 100

@description('With Event: seconds between two looks at the rules.')
@minValue(1)
param pollingInterval int = 30

@description('The image, with server and tag.')
param image string

@description('Server that the image is pulled from with an identity; empty: as anyone.')
param registryServer string = ''

@description('Name of the container.')
param containerName string = name

@description('Command; empty: the image\'s.')
param command array = []

@description('Arguments; empty: the image\'s.')
param args array = []

@description('Variables: name, and value or secretRef.')
param env array = []

@description('Secrets, in the key items: an array of name and value, or of name, keyVaultUrl and identity.')
@secure()
param secrets object = {}

@description('Cores of one replica, as text: 0.25, 0.5, … 2.')
param cpu string = '0.25'

@description('Memory of one replica: 0.5Gi for each 0.25 cores.')
param memory string = '0.5Gi'

@description('Seconds that one replica may take.')
@minValue(1)
param replicaTimeout int = 1800

@description('How often a failed replica is tried again.')
@minValue(0)
param replicaRetryLimit int = 0

@description('Replicas at the same time.')
@minValue(1)
param parallelism int = 1

@description('Replicas that must succeed.')
@minValue(1)
param replicaCompletionCount int = 1

@description('Resource id of the identity that the program runs as; empty: none.')
param identityId string = ''

@description('Resource id of the identity that pulls the image; the program cannot use it. Empty: the program\'s own.')
param pullIdentityId string = ''

@description('Resource id of the identity that the scale rules name; the program cannot use it. Empty: none.')
param scalerIdentityId string = ''

var pulls = empty(registryServer) ? '' : (empty(pullIdentityId) ? identityId : pullIdentityId)
var given = filter([identityId, pulls, scalerIdentityId], id => !empty(id))
var identityIds = union(given, [])
// Identities of the platform's own work are not for the program to take tokens of.
var platformIds = filter(identityIds, id => id != identityId)

resource job 'Microsoft.App/jobs@2026-01-01' = {
  name: name
  location: location
  tags: tags
  identity: empty(identityIds)
    ? null
    : {
        type: 'UserAssigned'
        userAssignedIdentities: toObject(identityIds, id => id, id => {})
      }
  properties: {
    environmentId: environmentId
    workloadProfileName: empty(workloadProfileName) ? null : workloadProfileName
    configuration: {
      triggerType: triggerType
      replicaTimeout: replicaTimeout
      replicaRetryLimit: replicaRetryLimit
      manualTriggerConfig: triggerType == 'Manual'
        ? {
            parallelism: parallelism
            replicaCompletionCount: replicaCompletionCount
          }
        : null
      scheduleTriggerConfig: triggerType == 'Schedule'
        ? {
            cronExpression: cronExpression
            parallelism: parallelism
            replicaCompletionCount: replicaCompletionCount
          }
        : null
      eventTriggerConfig: triggerType == 'Event'
        ? {
            parallelism: parallelism
            replicaCompletionCount: replicaCompletionCount
            scale: {
              minExecutions: minExecutions
              maxExecutions: maxExecutions
              pollingInterval: pollingInterval
              rules: scaleRules
            }
          }
        : null
      registries: empty(pulls)
        ? null
        : [
            {
              server: registryServer
              identity: pulls
            }
          ]
      secrets: empty(secrets) ? null : secrets.items
      identitySettings: empty(platformIds)
        ? null
        : map(platformIds, id => {
            identity: id
            lifecycle: 'None'
          })
    }
    template: {
      containers: [
        {
          name: containerName
          image: image
          command: empty(command) ? null : command
          args: empty(args) ? null : args
          env: empty(env) ? null : env
          resources: {
            cpu: json(cpu)
            memory: memory
          }
        }
      ]
    }
  }
}

@description('Resource id.')
output id string = job.id

@description('Name.')
output name string = job.name
