import { createInterface } from "node:readline";

function* decode(chunks) { // the parser to test
  let event = {};
  const decoder = new TextDecoder();
  let buffer = "";
  for (const chunk of chunks) {
    buffer += decoder.decode(chunk);
    const lines = buffer.split("\n");
    buffer = lines.pop();
    for (const line of lines) {
      const [name, value] = line.split(": ");
      if (line === "") {
        if (event.data) yield event;
        event = {};
      } else if (name === "data") {
        event.data = (event.data ?? "") + value;
      } else {
        event[name] = value;
      }
    }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, chunks } = JSON.parse(line);
  const events = [...decode(chunks.map((chunk) => Buffer.from(chunk, "base64")))];
  console.log(JSON.stringify({ id, events }));
}
