"""``python -m sse_testing`` is ``sse-conformance``."""

from ._cli import main

raise SystemExit(main())
