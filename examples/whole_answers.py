"""Whether an answer is whole: how the streams of well-known APIs end.

Each entry of `ENDS` is what ``iter_sse``, ``iter_events`` and ``subscribe`` take as ``until`` or
``is_last``. A stream that ends without it raises `sse_proto.IncompleteStream`.

    python examples/whole_answers.py openai-chat saved-answer.txt
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from sse_proto import IncompleteStream, ServerSentEvent, iter_events


def is_last_of_responses(event: ServerSentEvent) -> bool:
    """OpenAI Responses: the response is complete, cut short by a limit, or has failed."""
    return event.event in (
        "response.completed",
        "response.incomplete",
        "response.failed",
        "error",
    )


def is_last_of_messages(event: ServerSentEvent) -> bool:
    """Anthropic: the message stops; or an error comes, after a status of 200."""
    return event.event in ("message_stop", "error")


def is_last_of_gemini(event: ServerSentEvent) -> bool:
    """Gemini has no closing event: a candidate says why it has finished, or there is an error."""
    answer = json.loads(event.data)
    candidates = answer.get("candidates", [])
    return "error" in answer or any("finishReason" in candidate for candidate in candidates)


def is_last_of_langgraph(event: ServerSentEvent) -> bool:
    """LangGraph: the run ends, or fails."""
    return event.event in ("end", "error")


def is_last_of_mcp(event: ServerSentEvent) -> bool:
    """MCP over HTTP: after notifications and requests, the response to what was posted."""
    message: dict[str, Any] = json.loads(event.data or "{}")
    return "id" in message and ("result" in message or "error" in message)


ENDS: Final[dict[str, dict[str, Any]]] = {
    "openai-chat": {"until": "[DONE]"},
    "openai-responses": {"is_last": is_last_of_responses},
    "anthropic": {"is_last": is_last_of_messages},
    "gemini": {"is_last": is_last_of_gemini},
    "langgraph": {"is_last": is_last_of_langgraph},
    "mcp": {"is_last": is_last_of_mcp},
}


def main() -> int:
    api, path = sys.argv[1:]
    number = 0
    try:
        for event in iter_events([Path(path).read_bytes()], **ENDS[api]):
            number += 1
            print(event.event, event.data[:60])
    except IncompleteStream as error:
        print(f"{number} events, and then: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
