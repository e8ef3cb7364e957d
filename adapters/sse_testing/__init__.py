"""For people who test parsers of event streams, and programs that read them.

For parsers: `vectors` and `reference` say what a stream means, `strategies` makes streams for
hypothesis, `assert_decodes_like_the_standard` does it all in one call, and the command
``sse-conformance`` asks a parser in any language.

For programs: `EventServer` is a real server that follows a script; `cassette` is for recordings,
which it replays, as do the transports in `sse_testing.httpx` and `sse_testing.httpx2`;
`virtual_time` lets an hour of reconnecting pass in no time.

Nothing is imported until it is used: this package's pytest plugin is loaded wherever the package is
installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from . import cassette as cassette
    from . import strategies as strategies
    from ._assertion import WrongDecoding as WrongDecoding
    from ._assertion import assert_decodes_like_the_standard as assert_decodes_like_the_standard
    from ._conformance import ConformanceReport as ConformanceReport
    from ._conformance import Failure as Failure
    from ._conformance import FamilyCount as FamilyCount
    from ._conformance import run_conformance as run_conformance
    from ._driver import ConformanceError as ConformanceError
    from ._http import Exchange as Exchange
    from ._http import Handler as Handler
    from ._misreadings import Misreading as Misreading
    from ._random import pieces_of as pieces_of
    from ._reference import Event as Event
    from ._reference import Outcome as Outcome
    from ._reference import reference as reference
    from ._script import Reply as Reply
    from ._script import Step as Step
    from ._script import comment as comment
    from ._script import compress as compress
    from ._script import cut as cut
    from ._script import events as events
    from ._script import hold as hold
    from ._script import opening as opening
    from ._script import pause as pause
    from ._script import raw as raw
    from ._script import redirect as redirect
    from ._script import reset as reset
    from ._script import status as status
    from ._server import Attempt as Attempt
    from ._server import EventServer as EventServer
    from ._vectors import VECTORS_VERSION as VECTORS_VERSION
    from ._vectors import Rule as Rule
    from ._vectors import Vector as Vector
    from ._vectors import rules as rules
    from ._vectors import vectors as vectors
    from ._virtual import VirtualClock as VirtualClock
    from ._virtual import virtual_time as virtual_time
    from .cassette import Cassette as Cassette
    from .cassette import CassetteError as CassetteError
    from .cassette import CassetteWriter as CassetteWriter

_HOMES: Final = {
    "VECTORS_VERSION": "_vectors",
    "Attempt": "_server",
    "Cassette": "cassette",
    "CassetteError": "cassette",
    "CassetteWriter": "cassette",
    "ConformanceError": "_driver",
    "ConformanceReport": "_conformance",
    "Event": "_reference",
    "EventServer": "_server",
    "Exchange": "_http",
    "Failure": "_conformance",
    "FamilyCount": "_conformance",
    "Handler": "_http",
    "Misreading": "_misreadings",
    "Outcome": "_reference",
    "Reply": "_script",
    "Rule": "_vectors",
    "Step": "_script",
    "Vector": "_vectors",
    "VirtualClock": "_virtual",
    "WrongDecoding": "_assertion",
    "assert_decodes_like_the_standard": "_assertion",
    "cassette": "cassette",
    "comment": "_script",
    "compress": "_script",
    "cut": "_script",
    "events": "_script",
    "hold": "_script",
    "opening": "_script",
    "pause": "_script",
    "pieces_of": "_random",
    "raw": "_script",
    "redirect": "_script",
    "reference": "_reference",
    "reset": "_script",
    "rules": "_vectors",
    "run_conformance": "_conformance",
    "status": "_script",
    "strategies": "strategies",
    "vectors": "_vectors",
    "virtual_time": "_virtual",
}

__all__ = [
    "VECTORS_VERSION",
    "Attempt",
    "Cassette",
    "CassetteError",
    "CassetteWriter",
    "ConformanceError",
    "ConformanceReport",
    "Event",
    "EventServer",
    "Exchange",
    "Failure",
    "FamilyCount",
    "Handler",
    "Misreading",
    "Outcome",
    "Reply",
    "Rule",
    "Step",
    "Vector",
    "VirtualClock",
    "WrongDecoding",
    "assert_decodes_like_the_standard",
    "cassette",
    "comment",
    "compress",
    "cut",
    "events",
    "hold",
    "opening",
    "pause",
    "pieces_of",
    "raw",
    "redirect",
    "reference",
    "reset",
    "rules",
    "run_conformance",
    "status",
    "strategies",
    "vectors",
    "virtual_time",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{home}")
    value: object = module if name == home else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
