"""A driver for a decoder that is given as source: ``python driver.py FILE``.

It imports as little as it can, since it starts a hundred times.
"""

import base64
import json
import sys
from typing import Any


def main(path: str) -> None:
    """Answer each line of standard input."""
    namespace: dict[str, Any] = {"__name__": "mutant"}
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), namespace)
    # The decoders leave it to Python how long a number may be.
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    for line in sys.stdin:
        request = json.loads(line)
        chunks = [base64.b64decode(chunk) for chunk in request["chunks"]]
        answer: dict[str, object] = {"id": request["id"]}
        try:
            if "reference" in namespace:  # it takes a whole stream
                events, last_event_id, retry = namespace["reference"](b"".join(chunks))
            else:
                events, last_event_id, retry = namespace["decode"](chunks)
            answer["events"] = [list(event) for event in events]
            answer["last_event_id"] = last_event_id
            answer["retry"] = retry
        except Exception as error:  # a mutant raises what it likes
            answer["error"] = repr(error)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
