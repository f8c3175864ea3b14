// Lets another program use the JavaScript SDK v3: it reads requests from standard input, one JSON object a line, and
// answers each with a line on standard output.
//
//   {"id": 1, "service": "ivs", "operation": "GetChannel", "input": {…}}
//   {"id": 1, "output": {…}}   or   {"id": 1, "failure": {"code", "status", "message", "typed"}}   or   {"id": 1, "notSent": "why"}
import * as ivs from "@aws-sdk/client-ivs";
import * as realtime from "@aws-sdk/client-ivs-realtime";
import { createInterface } from "node:readline";

const [endpoint] = process.argv.slice(2);
const config = { endpoint, region: "us-east-1", maxAttempts: 1 }; // the key comes from the environment
const services = {
  "ivs": { sdk: ivs, client: new ivs.IvsClient(config), base: ivs.IvsServiceException },
  "ivs-realtime": { sdk: realtime, client: new realtime.IVSRealTimeClient(config), base: realtime.IVSRealTimeServiceException },
};

async function run({ service, operation, input }) {
  const { sdk, client, base } = services[service];
  try {
    const { $metadata, ...output } = await client.send(new sdk[`${operation}Command`](input));
    return { output };
  } catch (e) {
    const status = e.$metadata?.httpStatusCode;
    if (status === undefined) return { notSent: String(e) };
    const typed = e instanceof base && e.constructor !== base;
    return { failure: { code: e.name, status, message: e.message, typed } };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  run(request).then((answer) => process.stdout.write(JSON.stringify({ id: request.id, ...answer }) + "\n"));
}
