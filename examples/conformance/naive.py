import base64
import json
import sys
from collections.abc import Iterator


def decode(chunks: list[bytes]) -> Iterator[dict[str, str]]:  # the parser to test
    event: dict[str, str] = {}
    for line in b"".join(chunks).decode("utf-8", "replace").splitlines():
        if line == "":
            if event:
                yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            value = value.strip()
            if name == "data" and "data" in event:
                value = event["data"] + "\n" + value
            event[name] = value


for line in sys.stdin:
    request = json.loads(line)
    chunks = [base64.b64decode(chunk) for chunk in request["chunks"]]
    answer = {"id": request["id"], "events": list(decode(chunks))}
    print(json.dumps(answer), flush=True)
