// Sessions with @azure/service-bus; prints what it saw as JSON.
const { ServiceBusClient } = require("@azure/service-bus");

async function refusal(work) {
  try {
    await work();
    return null;
  } catch (error) {
    return error.code;
  }
}

async function main() {
  const [connection, queue] = process.argv.slice(2);
  const client = new ServiceBusClient(connection, {
    retryOptions: { maxRetries: 0, timeoutInMs: 3000 },
  });
  const seen = {};
  const sender = client.createSender(queue);
  for (let n = 0; n < 3; n++) {
    await sender.sendMessages([
      { body: `a${n}`, sessionId: "a" },
      { body: `b${n}`, sessionId: "b" },
    ]);
  }
  const named = await client.acceptSession(queue, "b");
  seen.locked = await refusal(() => client.acceptSession(queue, "b"));
  await named.setSessionState({ step: 2 });
  seen.state = await named.getSessionState();
  seen.renewed = (await named.renewSessionLock()) instanceof Date;
  seen.peeked = (await named.peekMessages(5)).map((message) => message.body);
  seen.named = [];
  for (const message of await named.receiveMessages(3, { maxWaitTimeInMs: 5000 })) {
    seen.named.push(message.body);
    await named.completeMessage(message);
  }
  await named.close();
  const next = await client.acceptNextSession(queue);
  seen.next = next.sessionId;
  seen.received = [];
  for (const message of await next.receiveMessages(3, { maxWaitTimeInMs: 5000 })) {
    seen.received.push(message.body);
    await next.completeMessage(message);
  }
  seen.none = await refusal(() => client.acceptNextSession(queue));
  await next.close();
  await client.close();
  console.log(JSON.stringify(seen));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
