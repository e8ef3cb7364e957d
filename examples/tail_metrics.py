"""Watch the metrics of several servers at once, as they change.

    python examples/tail_metrics.py https://a.example.com/metrics https://b.example.com/metrics

Each server sends events like ``data: {"name": "cpu", "value": 0.93}``. A line shows what changed,
with the minimum, mean and maximum of the last values. It waits for servers that go away.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import defaultdict, deque
from urllib.parse import urlsplit

import httpxr

from sse_httpxr import ReconnectPolicy, SSEError, asubscribe

KEPT = 60  # values of each metric

Values = defaultdict[tuple[str, str], deque[float]]


async def main() -> int:
    parser = argparse.ArgumentParser(description="Watch the metrics of several servers.")
    parser.add_argument("urls", nargs="+", metavar="URL")
    options = parser.parse_args()

    values: Values = defaultdict(lambda: deque(maxlen=KEPT))
    async with httpxr.AsyncClient() as client:
        await asyncio.gather(*(watch(client, url, values) for url in options.urls))
    return 0


async def watch(client: httpxr.AsyncClient, url: str, values: Values) -> None:
    """Print each change of one server's metrics, until it says that there are no more."""
    server = urlsplit(url).netloc
    policy = ReconnectPolicy(initial_delay=0.5, max_backoff=10.0)
    try:
        async with asubscribe(client, "GET", url, reconnect=policy, idle_timeout=30) as events:
            async for event in events:
                try:
                    metric = event.json()
                    show(server, metric["name"], float(metric["value"]), values)
                except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
                    print(f"{server:20} not a metric: {error!r:.60}", flush=True)
    except (SSEError, httpxr.RequestError) as error:
        print(f"{server:20} failed: {error}", flush=True)


def show(server: str, name: str, value: float, values: Values) -> None:
    last = values[server, name]
    last.append(value)
    print(
        f"{server:20} {name:12} {value:10.3f}"
        f"   least {min(last):.3f}  mean {sum(last) / len(last):.3f}  greatest {max(last):.3f}",
        flush=True,
    )


if __name__ == "__main__":
    try:
        raise SystemExit(asyncio.run(main()))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
