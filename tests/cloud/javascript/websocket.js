// Drives @azure/service-bus over WebSocket and prints what it saw. The expectations are in
// ../test_servicebus_javascript.py.
"use strict";
const { ServiceBusClient } = require("@azure/service-bus");
const WebSocket = require("ws");

async function main(connectionString, queue) {
  const seen = {};
  const client = new ServiceBusClient(connectionString, {
    retryOptions: { maxRetries: 0 },
    webSocketOptions: { webSocket: WebSocket },
  });
  const sender = client.createSender(queue);
  const receiver = client.createReceiver(queue);
  await sender.sendMessages([{ body: "a" }, { body: Buffer.alloc(200000, 7) }]);
  seen.peeked = (await receiver.peekMessages(2)).length;
  seen.received = [];
  while (seen.received.length < 2) {
    for (const message of await receiver.receiveMessages(2, { maxWaitTimeInMs: 5000 })) {
      seen.received.push(message.body.length);
      await receiver.completeMessage(message);
    }
  }
  await client.close();
  console.log(JSON.stringify(seen));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
