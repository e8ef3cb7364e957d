"""``python -m sse_httpxr URL``: what ``sse-tail URL`` is, from before it had a package."""

from __future__ import annotations

from importlib import import_module

__all__: list[str] = []

raise SystemExit(import_module("sse_tail").main())
