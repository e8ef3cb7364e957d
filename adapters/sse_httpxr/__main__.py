"""``python -m sse_httpxr URL``: the same as ``sse-tail URL``, from before it was a package."""

from __future__ import annotations

from importlib import import_module

__all__: list[str] = []

raise SystemExit(import_module("sse_tail").main())
