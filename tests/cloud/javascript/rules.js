// The rule manager of @azure/service-bus; prints what it saw as JSON.
const { ServiceBusClient } = require("@azure/service-bus");

async function main() {
  const [connection, topic, subscription] = process.argv.slice(2);
  const client = new ServiceBusClient(connection);
  const manager = client.createRuleManager(topic, subscription);
  const list = async () => {
    const found = [];
    for await (const { name, filter, action } of manager.listRules()) {
      found.push({ name, filter, action });
    }
    return found;
  };
  const seen = { before: await list(), errors: [] };
  await manager.deleteRule("$Default");
  await manager.createRule("sql", { sqlExpression: "quantity > 3" }, { sqlExpression: "SET big = TRUE" });
  await manager.createRule("red", {
    subject: "red",
    applicationProperties: { kind: "paint", n: 2 },
  });
  seen.after = await list();
  for (const wrong of [
    () => manager.createRule("red", { sqlExpression: "1=1" }),
    () => manager.deleteRule("nothing"),
  ]) {
    try {
      await wrong();
    } catch (error) {
      seen.errors.push(error.code);
    }
  }
  const sender = client.createSender(topic);
  await sender.sendMessages([
    { body: "few", applicationProperties: { quantity: 3 } },
    { body: "many", applicationProperties: { quantity: 4 } },
    { body: "red paint", subject: "red", applicationProperties: { kind: "paint", n: 2 } },
  ]);
  const receiver = client.createReceiver(topic, subscription);
  seen.received = [];
  while (seen.received.length < 2) {
    for (const message of await receiver.receiveMessages(5, { maxWaitTimeInMs: 5000 })) {
      seen.received.push({ body: message.body, properties: message.applicationProperties });
      await receiver.completeMessage(message);
    }
  }
  await client.close();
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
