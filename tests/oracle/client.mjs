// What an EventSource makes of each case of the server; the same in a page and in Node.

// A browser opens six connections to a host. Two are left to those that reconnect.
const SLOTS = 4;
// Milliseconds. More than `WATCH` in cases.py: what comes back within it has been seen by then.
const PATIENCE = 7000;
// Milliseconds. A connection that neither ends nor begins to reconnect is given up.
const LIMIT = 30000;

const CLOSED = 2;

/** Open one case; `idle` is called once, when its first stream is over. */
function observe(one, base, EventSource, idle) {
  return new Promise((resolve) => {
    const events = [];
    const source = new EventSource(`${base}/stream/${one.number}`);
    let timer = setTimeout(() => finish("silent"), LIMIT);

    function finish(end) {
      clearTimeout(timer);
      idle();
      resolve({ number: one.number, events, end, kept: null });
      source.close();
    }

    // An event of the stream may be of type "error" or "open", as those of the connection are.
    for (const type of one.types) {
      source.addEventListener(type, (event) => {
        if ("data" in event) {
          events.push([event.type, event.data, event.lastEventId]);
        }
      });
    }
    source.addEventListener("open", (event) => {
      if (!("data" in event)) {
        clearTimeout(timer);
        timer = setTimeout(() => finish("silent"), LIMIT);
      }
    });
    source.addEventListener("error", (event) => {
      if ("data" in event) {
        return;
      }
      idle();
      clearTimeout(timer);
      if (source.readyState === CLOSED) {
        finish("closed");
      } else {
        timer = setTimeout(() => finish("waiting"), PATIENCE);
      }
    });
  });
}

/** In how many pieces, at best, a stream arrives that the server sends in single bytes. */
async function probe(base) {
  let best = 0;
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const reader = (await fetch(`${base}/probe`)).body.getReader();
    let pieces = 0;
    while (!(await reader.read()).done) {
      pieces += 1;
    }
    best = Math.max(best, pieces);
  }
  return best;
}

export async function main(base, EventSource) {
  const pieces = await probe(base);
  const results = [];
  const cases = (await (await fetch(`${base}/cases`)).json()).values();
  async function slot() {
    for (const one of cases) {
      await new Promise((idle) => {
        results.push(observe(one, base, EventSource, idle));
      });
    }
  }
  await Promise.all(Array.from({ length: SLOTS }, slot));
  await post(base, { pieces, results: await Promise.all(results) });
}

export async function post(base, answer) {
  const body = JSON.stringify(answer);
  await (await fetch(`${base}/answer`, { method: "POST", body })).arrayBuffer();
}
