"""What random streams are made of: lines that mean something, and near misses.

Shared by `sse_testing.strategies`, for hypothesis, and by the generator that needs nothing but
Python. What is listed more often is drawn more often.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "BOMS",
    "ENDS",
    "FIELDS",
    "NAMES",
    "SEPARATORS",
    "SNIPPETS",
    "TRICKY",
    "VALUES",
]

BOM: Final = b"\xef\xbb\xbf"

ENDS: Final = [b"\n", b"\n", b"\n", b"\r\n", b"\r"]
BOMS: Final = [BOM, BOM + BOM, BOM[:2], BOM[:1], BOM[2:]]

FIELDS: Final = [
    b"data: x",
    b"data: y",
    b"data:z",
    b"data:",
    b"data",
    b"data: \xf0\x9f\x98\x80",
    b"event: e",
    b"event",
    b"id: 1",
    b"id",
    b"retry: 10",
    b"retry:007",
    b": comment",
]

# A strange line is a name, a separator and a value.
NAMES: Final = [
    b"data",
    b"data",
    b"event",
    b"id",
    b"id",
    b"retry",
    b"",
    b"foo",
    b"Data",
    b"dat",
    b"data ",
    BOM,
]
SEPARATORS: Final = [b": ", b": ", b": ", b":", b":  ", b"", b"::", b" "]
VALUES: Final = [
    *[b"", b"x", b"a b", b"data: x", b": ", b"\0", b"a\0", BOM],
    # reconnection times, nearly
    *[b"10", b"007", b"+5", b"1_0", b"\xd9\xa1", b"\xc2\xb2", b"5 ", b"18446744073709551616"],
    # UTF-8, nearly; U+2028, which ends lines elsewhere
    *[b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xc0\xaf", b"\xe2\x80\xa8", b"\x80"],
]

# So short that they collide everywhere.
SNIPPETS: Final = (
    b"\r|\n|\n\n|\r\n\r\n|data: x|data|id|retry|event|: |:| |5|x|\0|\xf0\x9f|\x98\x80".split(b"|")
)

# Text that is a value like any other, but does not look like one.
TRICKY: Final = [
    "",
    " ",
    " x",
    ":",
    "\ufeff",
    "data: x",
    "\u2028",
    "\x85",
    "\x0b",
    "\x1c",
    "id: 5",
]
