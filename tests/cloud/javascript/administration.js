// The administration client of @azure/service-bus; prints what it saw as JSON.
const { ServiceBusAdministrationClient } = require("@azure/service-bus");

async function main() {
  const admin = new ServiceBusAdministrationClient(process.argv[2]);
  const seen = {};
  await admin.createQueue("js-queue", { lockDuration: "PT30S", maxDeliveryCount: 4 });
  const queue = await admin.getQueue("js-queue");
  seen.queue = [queue.name, queue.lockDuration, queue.maxDeliveryCount, queue.status];
  queue.maxDeliveryCount = 9;
  seen.updated = (await admin.updateQueue(queue)).maxDeliveryCount;
  seen.exists = [await admin.queueExists("js-queue"), await admin.queueExists("js-none")];
  const counts = await admin.getQueueRuntimeProperties("js-queue");
  seen.counts = [counts.activeMessageCount, counts.totalMessageCount, counts.sizeInBytes];
  await admin.createTopic("js-topic");
  await admin.createSubscription("js-topic", "one", {
    defaultRuleOptions: { name: "first", filter: { sqlExpression: "1=0" } },
  });
  await admin.createRule("js-topic", "one", "sql", {
    sqlExpression: "quantity > @n",
    sqlParameters: { "@n": 3 },
  });
  await admin.createRule("js-topic", "one", "red", {
    subject: "red",
    applicationProperties: { kind: "paint" },
  });
  seen.rules = [];
  for await (const rule of admin.listRules("js-topic", "one")) {
    seen.rules.push([rule.name, rule.filter.sqlExpression ?? rule.filter.subject]);
  }
  const names = async (pages) => {
    const found = [];
    for await (const one of pages) found.push(one.name ?? one.subscriptionName);
    return found;
  };
  seen.lists = [
    (await names(admin.listQueues())).includes("js-queue"),
    (await names(admin.listTopics())).includes("js-topic"),
    await names(admin.listSubscriptions("js-topic")),
  ];
  seen.errors = [];
  for (const wrong of [
    () => admin.createQueue("js-queue"),
    () => admin.getTopic("js-none"),
    () => admin.createRule("js-topic", "one", "bad", { sqlExpression: "quantity >" }),
  ]) {
    try {
      await wrong();
    } catch (error) {
      seen.errors.push([error.code, error.statusCode]);
    }
  }
  seen.namespace = (await admin.getNamespaceProperties()).name;
  await admin.deleteRule("js-topic", "one", "sql");
  await admin.deleteSubscription("js-topic", "one");
  await admin.deleteTopic("js-topic");
  await admin.deleteQueue("js-queue");
  seen.left = await admin.queueExists("js-queue");
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
