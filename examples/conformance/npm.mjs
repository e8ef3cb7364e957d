// A driver for npm's parsers: node npm.mjs NAME FOLDER, where npm installed it in the folder.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [name, folder] = process.argv.slice(2);
const require = createRequire(join(resolve(folder), "package.json"));
const root = join(resolve(folder), "node_modules", name);
const load = (file) => import(pathToFileURL(join(root, file)));

/** A response whose body comes in these chunks. */
function responseOf(chunks) {
  let next = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (next < chunks.length) {
        controller.enqueue(new Uint8Array(chunks[next++]));
      } else {
        controller.close();
      }
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

const PARSERS = {
  // It reports IDs and times with the event, and separately; its user has to keep the last one.
  async "eventsource-parser"() {
    const { createParser } = require("eventsource-parser");
    return (chunks) => {
      const events = [];
      let last_event_id = "";
      let retry = null;
      const parser = createParser({
        onId: (id) => (last_event_id = id),
        onRetry: (time) => (retry = time),
        onEvent({ event, data, id }) {
          if (id !== undefined) last_event_id = id; // before version 4 there is no onId
          events.push({ event, data, id: last_event_id });
        },
      });
      const decoder = new TextDecoder();
      for (const chunk of chunks) parser.feed(decoder.decode(chunk, { stream: true }));
      parser.feed(decoder.decode());
      return { events, retry };
    };
  },

  async eventsource() {
    const { EventSource } = await import(pathToFileURL(require.resolve("eventsource")));
    return (chunks) =>
      new Promise((done) => {
        const events = [];
        const fetch = async () => responseOf(chunks);
        const source = new EventSource("http://127.0.0.1/", { fetch });
        // Events of any type, even those that nobody listens for.
        source.dispatchEvent = (event) => {
          if (event instanceof MessageEvent || "lastEventId" in event) {
            events.push({ event: event.type, data: event.data, id: event.lastEventId });
          } else if (event.type === "error") {
            source.close();
            done({ events });
          }
          return true;
        };
      });
  },

  // Node's own EventSource is an earlier version of the same.
  async undici() {
    const { EventSourceStream } = require(join(root, "lib/web/eventsource/eventsource-stream.js"));
    return (chunks) =>
      new Promise((done, failed) => {
        const events = [];
        const settings = { reconnectionTime: -1, lastEventId: "" };
        const stream = new EventSourceStream({
          eventSourceSettings: settings,
          push(event) {
            if (event !== null) {
              const { type, options } = event;
              events.push({ event: type, data: options.data, id: options.lastEventId });
              return true;
            }
            const retry = settings.reconnectionTime < 0 ? null : settings.reconnectionTime;
            done({ events, last_event_id: settings.lastEventId, retry });
          },
        });
        stream.on("error", failed);
        for (const chunk of chunks) stream.write(Buffer.from(chunk));
        stream.end();
      });
  },

  async "@microsoft/fetch-event-source"() {
    const { getLines, getMessages } = require(join(root, "lib/cjs/parse.js"));
    return (chunks) => {
      const events = [];
      let id = "";
      const seen = { retry: null };
      const onLine = getMessages(
        (value) => (id = value),
        (value) => (seen.retry = value),
        // Its loop hands over every message; its user has to leave out those without data.
        (message) => events.push({ event: message.event, data: message.data, id }),
      );
      const onChunk = getLines(onLine);
      for (const chunk of chunks) onChunk(new Uint8Array(chunk));
      return { events, retry: seen.retry };
    };
  },

  async "fetch-event-stream"() {
    const { events: eventsOf } = await load("esm/mod.js");
    return async (chunks) => {
      const events = [];
      for await (const { event, data, id, retry } of eventsOf(responseOf(chunks))) {
        events.push({ event, data, id: id === undefined ? undefined : String(id), retry });
      }
      return { events };
    };
  },
};

const decode = await PARSERS[name]();
const { version } = JSON.parse(readFileSync(join(root, "package.json")));
console.log(JSON.stringify({ name, version }));
for await (const line of createInterface({ input: process.stdin })) {
  const { id, chunks } = JSON.parse(line);
  let answer;
  try {
    answer = await decode(chunks.map((chunk) => Buffer.from(chunk, "base64")));
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify({ id, ...answer }));
}
