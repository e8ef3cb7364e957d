"""Fixtures of the adapter's tests: the two interfaces, servers, an environment without proxies."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest

from tests.support import apps
from tests.support.drivers import DRIVERS, Driver, make_driver
from tests.support.harness import AsyncMode, Mode, SyncMode
from tests.support.servers import ProxyServer, RawServer, TlsFiles, tls_contexts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.http2 import Http2Server, Stream

_ENVIRONMENT = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine's own reaches httpxr; a test may set what it wants."""
    for name in _ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def garbage_is_collected_here() -> Iterator[None]:
    """Collect garbage between tests only, and so in this thread.

    httpxr logs from its own threads. Where Python collects garbage in one of these, and a sync
    client is among it, httpxr aborts the process: its runtime may not be dropped there.
    """
    gc.disable()
    gc.freeze()  # a test that collects its own garbage need not look through all there is
    yield
    gc.unfreeze()
    gc.enable()
    if gc.get_count()[0] > 50_000:
        gc.collect()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with each driver that is of the kind, and has what it needs."""
    needs = _arguments(metafunc, "needs")
    packages = _arguments(metafunc, "adapter")
    for fixture, kinds in (
        ("driver", (True, False)),
        ("sync_driver", (False,)),
        ("async_driver", (True,)),
    ):
        if fixture in metafunc.fixturenames:
            names = [
                name
                for name, (driver, _, loop) in DRIVERS.items()
                if loop.is_async in kinds
                if not needs & driver.lacks
                if not packages or driver.package in packages
            ]
            metafunc.parametrize(fixture, names, indirect=True)


def _arguments(metafunc: pytest.Metafunc, mark: str) -> set[str]:
    marks = metafunc.definition.iter_markers(mark)
    return {argument for each in marks for argument in cast("tuple[str, ...]", each.args)}


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> Driver:
    """Each adapter in each of its modes."""
    return make_driver(cast("str", request.param))


@pytest.fixture
def sync_driver(request: pytest.FixtureRequest) -> Driver:
    """The sync ones of them."""
    return make_driver(cast("str", request.param))


@pytest.fixture
def async_driver(request: pytest.FixtureRequest) -> Driver:
    """The asynchronous ones of them."""
    return make_driver(cast("str", request.param))


@pytest.fixture(params=[SyncMode, AsyncMode], ids=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> Iterator[Mode]:
    """Each interface, one after the other."""
    mode = cast("type[Mode]", request.param)()
    yield mode
    mode.finish()


@pytest.fixture
def sync_mode() -> Iterator[SyncMode]:
    """The sync interface, for what there is in that one only."""
    mode = SyncMode()
    yield mode
    mode.finish()


@pytest.fixture
def async_mode() -> Iterator[AsyncMode]:
    """The async interface, for what there is in that one only."""
    mode = AsyncMode()
    yield mode
    mode.finish()


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A server of its own for each test; what its handlers raise fails the test."""
    with RawServer() as server:
        yield server


@pytest.fixture
def no_thread_left_over(server: RawServer) -> Iterator[None]:
    """Assert that a test ends the threads that it began."""
    before = set(threading.enumerate())
    yield
    server.stop()
    # The default executor of an event loop, which pytest-asyncio ends later, and the threads of
    # trio's `to_thread`, which wait for more.
    left = set(threading.enumerate()) - before
    assert not [each for each in left if not each.name.startswith(("asyncio_", "Trio thread"))]


@pytest.fixture
def other_server() -> Iterator[RawServer]:
    """A second server: another port, so another origin."""
    with RawServer() as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[ProxyServer]:
    """A forward proxy; ``targets`` tells what went through it."""
    with ProxyServer() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A private authority, and a certificate of it for 127.0.0.1 and localhost."""
    return tls_contexts(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def tls_server(tls: TlsFiles) -> Iterator[RawServer]:
    """A server with that certificate."""
    with RawServer(ssl_context=tls.server_context) as server:
        yield server


@pytest.fixture(scope="session")
def http2_tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """A certificate for servers that agree on HTTP/2."""
    return tls_contexts(tmp_path_factory.mktemp("http2"))


@pytest.fixture
def serve(http2_tls: TlsFiles) -> Callable[..., Http2Server]:
    """Return a server of HTTP/2 with this handler for each request."""
    from tests.support.http2 import Http2Server  # here, for where there is no h2

    def serve(handle: Callable[[Stream], None], **options: Any) -> Http2Server:
        return Http2Server(http2_tls.server_context, handle, **options)

    return serve


@pytest.fixture(scope="session")
def app_url() -> Iterator[str]:
    """The URL of tests/support/apps.py on uvicorn, without a final slash."""
    with apps.serve(apps.app) as url:
        yield url
