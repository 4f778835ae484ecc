// Verifies webhooks: a JSON list of { secret, body, headers, atMs } on stdin; the payloads, or the errors, on stdout.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const told = JSON.parse(readFileSync(0, "utf8")).map(({ secret, body, headers, atMs }) => {
  // The library compares with the machine's clock; in a test time is what the server was told.
  Date.now = () => atMs;
  try {
    return { payload: new Webhook(secret).verify(body, headers) };
  } catch (error) {
    return { error: error.message };
  }
});
process.stdout.write(JSON.stringify(told));
