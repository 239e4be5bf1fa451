// The three jobs of the example, on what ../infra has made: the parameters without a default are
// outputs there, of the same names.

targetScope = 'resourceGroup'

@description('The region.')
param location string = resourceGroup().location

@description('Tags of the jobs.')
param tags object = {}

@description('Resource id of the environment.')
param environmentId string

@description('Name of the Service Bus namespace.')
param serviceBusNamespaceName string

@description('Host name of the Service Bus namespace.')
param serviceBusHostName string

@description('The identity of each job: job, id, clientId.')
param identities array

@description('Resource id of the identity that images are pulled with.')
param pullIdentityId string

@description('Resource id of the identity that the scaler reads the length of queues with.')
param scalerIdentityId string

@description('Server of the registry; empty: the images have no server in front.')
param registryLoginServer string

@description('Tag of the images; empty: none.')
param imageTag string = ''

@description('How many numbers the sender sends.')
@minValue(1)
param messageCount int = 100

@description('When the processor runs: five fields of cron, in UTC.')
param processorCron string = '* * * * *'

@description('How many waiting results make one execution of the receiver.')
@minValue(1)
param resultsPerExecution int = 100

var imagePrefix = empty(registryLoginServer) ? '' : '${registryLoginServer}/'
var imageSuffix = empty(imageTag) ? '' : ':${imageTag}'
var sender = first(filter(identities, identity => identity.job == 'sender'))
var processor = first(filter(identities, identity => identity.job == 'processor'))
var receiver = first(filter(identities, identity => identity.job == 'receiver'))

module senderJob 'modules/job.bicep' = {
  name: 'sender'
  params: {
    name: 'sender'
    location: location
    tags: tags
    environmentId: environmentId
    triggerType: 'Manual'
    image: '${imagePrefix}sender${imageSuffix}'
    registryServer: registryLoginServer
    identityId: sender.id
    pullIdentityId: pullIdentityId
    replicaTimeout: 600
    replicaRetryLimit: 1
    env: [
      {
        name: 'FULLY_QUALIFIED_NAMESPACE'
        value: serviceBusHostName
      }
      {
        name: 'INPUT_QUEUE_NAME'
        value: 'parameters'
      }
      {
        name: 'AZURE_CLIENT_ID'
        value: sender.clientId
      }
      {
        name: 'MIN_NUMBER'
        value: '1'
      }
      {
        name: 'MAX_NUMBER'
        value: '10'
      }
      {
        name: 'MESSAGE_COUNT'
        value: string(messageCount)
      }
      {
        name: 'SEND_TYPE'
        value: 'list'
      }
      {
        name: 'MESSAGE_ID_SCOPE'
        value: 'execution'
      }
    ]
  }
}

module processorJob 'modules/job.bicep' = {
  name: 'processor'
  params: {
    name: 'processor'
    location: location
    tags: tags
    environmentId: environmentId
    triggerType: 'Schedule'
    cronExpression: processorCron
    image: '${imagePrefix}processor${imageSuffix}'
    registryServer: registryLoginServer
    identityId: processor.id
    pullIdentityId: pullIdentityId
    replicaTimeout: 600
    replicaRetryLimit: 1
    env: [
      {
        name: 'FULLY_QUALIFIED_NAMESPACE'
        value: serviceBusHostName
      }
      {
        name: 'INPUT_QUEUE_NAME'
        value: 'parameters'
      }
      {
        name: 'OUTPUT_QUEUE_NAME'
        value: 'results'
      }
      {
        name: 'AZURE_CLIENT_ID'
        value: processor.clientId
      }
      {
        name: 'MAX_MESSAGE_COUNT'
        value: '1000'
      }
      {
        name: 'MAX_WAIT_TIME'
        value: '5'
      }
    ]
  }
}

module receiverJob 'modules/job.bicep' = {
  name: 'receiver'
  params: {
    name: 'receiver'
    location: location
    tags: tags
    environmentId: environmentId
    triggerType: 'Event'
    minExecutions: 0
    maxExecutions: 10
    pollingInterval: 5
    scaleRules: [
      {
        name: 'results'
        type: 'azure-servicebus'
        metadata: {
          queueName: 'results'
          namespace: serviceBusNamespaceName
          messageCount: string(resultsPerExecution)
        }
        identity: scalerIdentityId
      }
    ]
    image: '${imagePrefix}receiver${imageSuffix}'
    registryServer: registryLoginServer
    identityId: receiver.id
    pullIdentityId: pullIdentityId
    scalerIdentityId: scalerIdentityId
    replicaTimeout: 600
    replicaRetryLimit: 1
    env: [
      {
        name: 'FULLY_QUALIFIED_NAMESPACE'
        value: serviceBusHostName
      }
      {
        name: 'OUTPUT_QUEUE_NAME'
        value: 'results'
      }
      {
        name: 'AZURE_CLIENT_ID'
        value: receiver.clientId
      }
      {
        name: 'MAX_MESSAGE_COUNT'
        value: '100'
      }
      {
        name: 'MAX_WAIT_TIME'
        value: '5'
      }
    ]
  }
}

@description('Names of the jobs.')
output jobNames array = [
  senderJob.outputs.name
  processorJob.outputs.name
  receiverJob.outputs.name
]
