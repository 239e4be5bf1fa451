// Microsoft's JavaScript SDKs against Resource Manager; prints what test_arm_javascript.py checks.
const { AuthorizationManagementClient } = require("@azure/arm-authorization");
const { ContainerAppsAPIClient } = require("@azure/arm-appcontainers");
const { ResourceManagementClient } = require("@azure/arm-resources");
const { ServiceBusManagementClient } = require("@azure/arm-servicebus");
const { randomUUID } = require("crypto");

const [endpoint, subscription, token, group] = process.argv.slice(2);
const credential = {
  getToken: async () => ({ token, expiresOnTimestamp: Date.now() + 3600000 }),
};
const options = { endpoint, credentialScopes: ["https://management.azure.com/.default"] };
const quick = { updateIntervalInMs: 100 };
const apps = new ContainerAppsAPIClient(credential, subscription, options);
const roles = new AuthorizationManagementClient(credential, subscription, options);
const resources = new ResourceManagementClient(credential, subscription, options);
const bus = new ServiceBusManagementClient(credential, subscription, options);

async function all(pages) {
  const found = [];
  for await (const item of pages) found.push(item);
  return found;
}

async function refusal(work) {
  try {
    await work;
  } catch (error) {
    return `${error.statusCode} ${error.code}`;
  }
  return "no refusal";
}

async function main() {
  const seen = {};
  const location = "westeurope";
  const made = await resources.resourceGroups.createOrUpdate(group, { location });
  const environments = apps.managedEnvironments;
  const env = await environments.beginCreateOrUpdateAndWait(group, "env", { location }, quick);
  const body = {
    location,
    environmentId: env.id,
    configuration: {
      triggerType: "Manual",
      replicaTimeout: 60,
      secrets: [{ name: "s", value: "v" }],
    },
    template: {
      containers: [{ name: "main", image: "python", args: ["-c", "import time; time.sleep(60)"] }],
    },
  };
  const job = await apps.jobs.beginCreateOrUpdateAndWait(group, "job", body, quick);
  seen.job = [job.provisioningState, job.template.containers[0].resources];
  const patched = await apps.jobs.beginUpdateAndWait(group, "job", { tags: { k: "v" } }, quick);
  seen.tags = patched.tags;
  seen.secret = (await apps.jobs.listSecrets(group, "job")).value[0].value;
  const run = await apps.jobs.beginStartAndWait(group, "job", quick);
  seen.executions = (await all(apps.jobsExecutions.list(group, "job"))).map((it) => it.name);
  seen.started = run.name;
  await apps.jobs.beginStopExecutionAndWait(group, "job", run.name, quick);
  const at_once = Array.from({ length: 6 }, () =>
    apps.jobs.beginCreateOrUpdateAndWait(group, "job", body, quick),
  );
  const outcomes = await Promise.allSettled(at_once);
  seen.at_once = outcomes.map((it) => (it.status === "fulfilled" ? "ok" : it.reason.code));
  seen.missing = await refusal(apps.jobs.get(group, "none"));
  seen.in_use = await refusal(environments.beginDeleteAndWait(group, "env", quick));
  const name = `${group}-bus`;
  const namespace = await bus.namespaces.beginCreateOrUpdateAndWait(
    group,
    name,
    { location, sku: { name: "Standard" } },
    quick,
  );
  await bus.queues.createOrUpdate(group, name, "q", { lockDuration: "PT30S" });
  seen.queues = (await all(bus.queues.listByNamespace(group, name))).map((it) => it.lockDuration);
  seen.free = (await bus.namespaces.checkNameAvailability({ name })).nameAvailable;
  const filter = "roleName eq 'Reader'";
  const [reader] = await all(roles.roleDefinitions.list(made.id, { filter }));
  const principal = {
    roleDefinitionId: reader.id,
    principalId: randomUUID(),
    principalType: "ServicePrincipal",
  };
  await roles.roleAssignments.create(namespace.id, randomUUID(), principal);
  seen.twice = await refusal(roles.roleAssignments.create(namespace.id, randomUUID(), principal));
  const listed = await all(resources.resources.listByResourceGroup(group));
  seen.types = listed.map((it) => it.type).sort();
  await resources.resourceGroups.beginDeleteAndWait(group, quick);
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
