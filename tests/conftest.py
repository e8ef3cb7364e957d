"""Fixtures of the core's tests, how much hypothesis tries, and which files come first."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, Final, cast

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from sse_proto import SSEDecoder

# No deadline: the first example of a test pays for imports, and a busy machine is no bug.
settings.register_profile("default", deadline=None, max_examples=200)
# In CI the failing example must be in the log, its database is lost.
settings.register_profile("ci", deadline=None, max_examples=300, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# Half a minute and more each, of which most is waiting.
LONGEST: Final = frozenset(
    f"test_{name}.py"
    for name in (
        *("behaviour", "cli", "conformance", "costs", "http2", "http2_load", "subscribe"),
        *("subscribe_closing", "subscribe_faults"),
    )
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, so that no worker is left with one when the others are done."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


# Of the session, since hypothesis has no use for a fixture that is made once a test.
@pytest.fixture(
    scope="session",
    params=[
        pytest.param("sse_proto._feed", id="python"),
        pytest.param("sse_proto._speedups", id="c"),
    ],
)
def decoder_class(request: pytest.FixtureRequest) -> type[SSEDecoder]:
    """Each implementation of `SSEDecoder`; the one in C is optional, unless REQUIRE_SPEEDUPS=1."""
    return _decoder_of(cast("str", request.param))


def _decoder_of(module: str) -> type[SSEDecoder]:
    if importlib.util.find_spec(module) is None:
        missing = f"{module} is not built"
        if os.environ.get("REQUIRE_SPEEDUPS") == "1":
            pytest.fail(missing + ", and REQUIRE_SPEEDUPS=1")
        pytest.skip(missing)
    # An import that fails is no missing build: it fails the tests.
    return cast("type[SSEDecoder]", importlib.import_module(module).SSEDecoder)


@pytest.fixture(scope="session")
def c_class() -> type[SSEDecoder]:
    """The decoder in C, for the tests of it alone, and of it beside the one in Python."""
    return _decoder_of("sse_proto._speedups")


@pytest.fixture
def decoder(decoder_class: type[SSEDecoder]) -> SSEDecoder:
    """A new decoder with default options."""
    return decoder_class()
