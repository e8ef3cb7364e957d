// node parser.mjs URL FOLDER: eventsource-parser, which is installed in the folder.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { post } from "./client.mjs";

const [base, folder] = process.argv.slice(2);
const installed = createRequire(join(folder, "package.json")).resolve("eventsource-parser");
const { createParser } = await import(pathToFileURL(installed));

/** Decode chunks as its users do. The parser tells IDs and times; to keep them is theirs. */
function parse({ number, chunks }) {
  const events = [];
  let lastEventId = "";
  let retry = null;
  const parser = createParser({
    onId: (id) => (lastEventId = id),
    onRetry: (time) => (retry = time),
    onEvent: ({ event, data }) => events.push([event ?? "message", data, lastEventId]),
  });
  const decoder = new TextDecoder();
  for (const chunk of chunks) {
    parser.feed(decoder.decode(Buffer.from(chunk, "latin1"), { stream: true }));
  }
  parser.feed(decoder.decode());
  return { number, events, end: "closed", kept: { last_event_id: lastEventId, retry } };
}

const cases = await (await fetch(`${base}/cases`)).json();
await post(base, { pieces: null, results: cases.map(parse) });
