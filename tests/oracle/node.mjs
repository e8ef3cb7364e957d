// node --experimental-eventsource node.mjs URL: Node's own EventSource.
import { main } from "./client.mjs";

await main(process.argv[2], globalThis.EventSource);
