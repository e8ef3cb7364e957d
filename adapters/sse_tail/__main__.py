"""``python -m sse_tail URL``: the same as ``sse-tail URL``."""

from __future__ import annotations

from .cli import main

__all__: list[str] = []

raise SystemExit(main())
