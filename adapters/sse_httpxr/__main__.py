"""``python -m sse_httpxr URL``: see `_cli`."""

from __future__ import annotations

from ._cli import main

__all__: list[str] = []

raise SystemExit(main())
