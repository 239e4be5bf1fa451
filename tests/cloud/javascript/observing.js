// Microsoft's JavaScript SDKs with credentials of their own: tokens for a managed identity and for an
// application, Log Analytics, metrics and Service Bus with a token in place of a key. It finds the
// cloud by what `orchestrator local env` exports; prints what test_observing_javascript.py checks.
"use strict";
const identity = require("@azure/identity");
const { LogsQueryClient } = require("@azure/monitor-query-logs");
const { MonitorClient } = require("@azure/arm-monitor");
const { OperationalInsightsManagementClient } = require("@azure/arm-operationalinsights");
const { ServiceBusClient } = require("@azure/service-bus");

const { env } = process;
const [group, workspaceName, namespace, queue] = process.argv.slice(2);
const MANAGEMENT = "https://management.azure.com/.default";

async function all(pages) {
  const found = [];
  for await (const item of pages) found.push(item);
  return found;
}

async function refusal(work) {
  try {
    await work;
  } catch (error) {
    return `${error.statusCode ?? ""} ${error.code}`.trim();
  }
  return "no refusal";
}

async function main() {
  const seen = {};
  const managed = new identity.ManagedIdentityCredential();
  const application = new identity.ClientSecretCredential(
    env.AZURE_TENANT_ID,
    env.APPLICATION_ID,
    env.APPLICATION_SECRET,
    { authorityHost: env.AZURE_AUTHORITY_HOST, disableInstanceDiscovery: true },
  );
  const wrong = new identity.ClientSecretCredential(env.AZURE_TENANT_ID, env.APPLICATION_ID, "no", {
    authorityHost: env.AZURE_AUTHORITY_HOST,
    disableInstanceDiscovery: true,
  });
  seen.tokens = [];
  for (const credential of [managed, application, new identity.DefaultAzureCredential()]) {
    const { token, expiresOnTimestamp } = await credential.getToken(MANAGEMENT);
    const claims = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    seen.tokens.push([claims.tid, claims.aud, expiresOnTimestamp > Date.now()]);
  }
  seen.wrong = await wrong.getToken(MANAGEMENT).catch((error) => error.name);

  const options = {
    endpoint: env.AZURE_RESOURCE_MANAGER_ENDPOINT,
    credentialScopes: [MANAGEMENT],
  };
  const insights = new OperationalInsightsManagementClient(
    application,
    env.AZURE_SUBSCRIPTION_ID,
    options,
  );
  const workspace = await insights.workspaces.get(group, workspaceName);
  const logs = new LogsQueryClient(managed, { endpoint: `${env.AZURE_LOG_ANALYTICS_ENDPOINT}/v1` });
  const day = { duration: "P1D" };
  const kinds =
    "print d=datetime(2024-01-01), n=long(null), t=1s, y=dynamic({'a':1}), b=true, r=1.5, s='x'";
  const found = await logs.queryWorkspace(workspace.customerId, kinds, day);
  seen.types = found.tables[0].columnDescriptors.map((column) => column.type);
  seen.row = found.tables[0].rows[0];
  const of = await logs.queryResource(workspace.id, "print 1", day);
  seen.resource = of.tables[0].rows;
  const batch = await logs.queryBatch([
    { workspaceId: workspace.customerId, query: "print 2", timespan: day },
    { workspaceId: workspace.customerId, query: "print |", timespan: day },
  ]);
  // This SDK calls the failure of one query in a batch a partial one.
  seen.batch = batch.map((one) => one.partialError?.code ?? one.status);
  seen.unknown = await refusal(logs.queryWorkspace(workspace.customerId, "Nope | take 1", day));

  const monitor = new MonitorClient(application, env.AZURE_SUBSCRIPTION_ID, options);
  const { workspaces } = insights;
  seen.tables = (await all(insights.tables.listByWorkspace(group, workspaceName))).length;
  seen.keys = Object.keys(await insights.sharedKeysOperations.getSharedKeys(group, workspaceName));
  seen.missing = await refusal(workspaces.get(group, "nobody"));
  const since = new Date(Date.now() - 3600000).toISOString();
  const filter = `eventTimestamp ge '${since}' and resourceGroupName eq '${group}'`;
  const events = await all(monitor.activityLogs.list(filter));
  seen.activity = events.map((event) => event.operationName.value).includes(
    "Microsoft.OperationalInsights/workspaces/write",
  );

  const client = new ServiceBusClient(namespace, managed, {
    customEndpointAddress: env.SERVICE_BUS_CUSTOM_ENDPOINT,
    retryOptions: { maxRetries: 0 },
  });
  const sender = client.createSender(queue);
  await sender.sendMessages({ body: "by token" });
  const receiver = client.createReceiver(queue, { receiveMode: "receiveAndDelete" });
  seen.received = (await receiver.receiveMessages(1, { maxWaitTimeInMs: 5000 })).map((m) => m.body);
  await client.close();
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
