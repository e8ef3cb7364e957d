"""Hypothesis strategies for the decoder's tests: those of `sse_testing`, and limits."""

from __future__ import annotations

from hypothesis import strategies as st

from sse_testing.strategies import characters, cuts, events, lines, streams, tricky

__all__ = ["characters", "cuts", "events", "limits", "lines", "streams", "tricky"]

limits = st.integers(1, 40)
