"""Which decoder is used: the one in C if it was built, otherwise the one in Python."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Literal

__all__ = ["IMPLEMENTATION", "SSEDecoder"]

if TYPE_CHECKING:
    # Both have the same interface; stubtest compares it with the one in C.
    from ._feed import SSEDecoder

    IMPLEMENTATION: Literal["c", "python"]
    """Which `SSEDecoder` is in use. The environment variable ``SSE_PROTO_PURE_PYTHON=1`` forces
    ``"python"``; otherwise it is ``"c"`` if that was built."""
else:

    def _choose():
        from . import _feed

        if os.environ.get("SSE_PROTO_PURE_PYTHON", "") not in ("", "0"):
            return "python", _feed.SSEDecoder
        try:
            from ._speedups import SSEDecoder
        except Exception as error:
            absent = (
                isinstance(error, ModuleNotFoundError) and error.name == f"{__package__}._speedups"
            )
            if not absent:  # it was built, but for something else
                warnings.warn(
                    f"sse_proto uses its decoder in Python, since the one in C does not load:"
                    f" {type(error).__name__}: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
            return "python", _feed.SSEDecoder
        return "c", SSEDecoder

    IMPLEMENTATION, SSEDecoder = _choose()
