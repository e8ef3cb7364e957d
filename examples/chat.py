"""Chat in the terminal with any server that has the API of OpenAI's chat completions.

    API_KEY=... python examples/chat.py --url https://example.com/v1 --model small

Each answer is printed token by token. Ctrl-C ends the answer; at the prompt, it ends the program.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

import httpxr

from sse_httpxr import SSEError, connect_sse


def main() -> int:
    parser = argparse.ArgumentParser(description="Chat in the terminal.")
    parser.add_argument("--url", required=True, help="base URL of the API")
    parser.add_argument("--model", required=True)
    options = parser.parse_args()

    messages: list[dict[str, str]] = []
    headers = {"Authorization": f"Bearer {os.environ.get('API_KEY', '')}"}
    with httpxr.Client(headers=headers) as client:
        while True:
            try:
                question = input("> ")
            except (EOFError, KeyboardInterrupt):
                print()
                return 0
            messages.append({"role": "user", "content": question})
            try:
                answer = ask(client, options.url, options.model, messages)
            except (httpxr.RequestError, SSEError) as error:
                print(f"\n{error}", file=sys.stderr)
                messages.pop()
            else:
                messages.append({"role": "assistant", "content": answer})


def ask(client: httpxr.Client, url: str, model: str, messages: list[dict[str, str]]) -> str:
    """Print the answer as it is written; return it, or what had come before Ctrl-C."""
    answer = ""
    with connect_sse(
        client,
        "POST",
        f"{url}/chat/completions",
        json={"model": model, "stream": True, "messages": messages},
        timeout=httpxr.Timeout(10, read=120),  # a model may think for a long time
    ) as source:
        try:
            for text in source.iter_json(text_of):
                answer += text
                print(text, end="", flush=True)
        except KeyboardInterrupt:
            print(" [interrupted]", end="")
    print()
    return answer


def text_of(chunk: bytes) -> str:
    """Return what a chunk of JSON adds to the answer."""
    choices = json.loads(chunk)["choices"]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


if __name__ == "__main__":
    raise SystemExit(main())
