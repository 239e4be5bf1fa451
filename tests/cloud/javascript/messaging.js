// Drives @azure/service-bus against the queue given by connection string and name, and prints one
// JSON object of what it saw. The expectations are in ../test_servicebus_javascript.py.
"use strict";
const { ServiceBusClient } = require("@azure/service-bus");

async function main(connectionString, queue) {
  const seen = {};
  const client = new ServiceBusClient(connectionString, { retryOptions: { maxRetries: 0 } });
  const sender = client.createSender(queue);
  const receiver = client.createReceiver(queue);
  const wait = { maxWaitTimeInMs: 5000 };
  const bodies = (messages) => messages.map((message) => message.body);

  await sender.sendMessages({
    body: "complete",
    messageId: "m-1",
    subject: "label",
    applicationProperties: { number: 1, text: "x", flag: true },
  });
  await sender.sendMessages([{ body: { json: [1, null] } }, { body: "dead-letter" }]);
  const batch = await sender.createMessageBatch();
  batch.tryAddMessage({ body: "defer" });
  batch.tryAddMessage({ body: "last" });
  await sender.sendMessages(batch);

  seen.peeked = bodies(await receiver.peekMessages(10));
  const messages = [];
  while (messages.length < 5) {
    messages.push(...(await receiver.receiveMessages(5 - messages.length, wait)));
  }
  seen.first = {
    id: messages[0].messageId,
    subject: messages[0].subject,
    properties: messages[0].applicationProperties,
    deliveryCount: messages[0].deliveryCount,
    state: messages[0].state,
  };
  seen.renewed = (await receiver.renewMessageLock(messages[0])) instanceof Date;
  await receiver.completeMessage(messages[0]);
  await receiver.abandonMessage(messages[1], { extra: "property" });
  await receiver.deadLetterMessage(messages[2], {
    deadLetterReason: "why",
    deadLetterErrorDescription: "because",
    custom: "c",
  });
  await receiver.deferMessage(messages[3], { deferred: true });
  await receiver.completeMessage(messages[4]);

  const [again] = await receiver.receiveMessages(1, wait);
  seen.again = [again.body, again.deliveryCount, again.applicationProperties];
  await receiver.completeMessage(again);
  const [deferred] = await receiver.receiveDeferredMessages([messages[3].sequenceNumber]);
  seen.deferred = [deferred.body, deferred.applicationProperties];
  await receiver.completeMessage(deferred);

  const buried = client.createReceiver(queue, { subQueueType: "deadLetter" });
  const [dead] = await buried.receiveMessages(1, wait);
  seen.dead = {
    body: dead.body,
    reason: dead.deadLetterReason,
    description: dead.deadLetterErrorDescription,
    source: dead.deadLetterSource,
    custom: dead.applicationProperties.custom,
  };
  await buried.completeMessage(dead);

  const scheduled = await sender.scheduleMessages(
    [{ body: "later" }],
    new Date(Date.now() + 3600000),
  );
  await sender.cancelScheduledMessages(scheduled);

  const deleting = client.createReceiver(queue, { receiveMode: "receiveAndDelete" });
  await sender.sendMessages([{ body: "x" }, { body: "y" }]);
  seen.deleted = [];
  while (seen.deleted.length < 2) {
    seen.deleted.push(...bodies(await deleting.receiveMessages(2, wait)));
  }

  seen.subscribed = [];
  await new Promise((resolve, reject) => {
    receiver.subscribe({
      processMessage: async (message) => {
        seen.subscribed.push(message.body);
        if (seen.subscribed.length === 50) resolve();
      },
      processError: async (failure) => reject(failure.error),
    });
    sender.sendMessages(Array.from({ length: 50 }, (_, n) => ({ body: n }))).catch(reject);
  });

  seen.errors = [];
  for (const attempt of [
    () => client.createSender("nowhere").sendMessages({ body: 1 }),
    () => client.createReceiver("nowhere").receiveMessages(1, { maxWaitTimeInMs: 1000 }),
    () => sender.sendMessages({ body: "x".repeat(300000) }),
  ]) {
    try {
      await attempt();
      seen.errors.push(null);
    } catch (error) {
      seen.errors.push(error.code);
    }
  }
  await client.close();
  console.log(JSON.stringify(seen));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
