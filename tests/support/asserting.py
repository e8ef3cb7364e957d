"""What the tests of `assert_decodes_like_the_standard` share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from sse_testing import Event, WrongDecoding, assert_decodes_like_the_standard, reference

__all__ = ["fault_of", "whole"]


def whole(chunks: Iterable[bytes]) -> list[Event]:
    return reference(b"".join(chunks)).events


def fault_of(decode: Callable[[list[bytes]], Iterable[Any]], **options: Any) -> WrongDecoding:
    with pytest.raises(WrongDecoding) as caught:
        assert_decodes_like_the_standard(decode, **options)
    return caught.value
