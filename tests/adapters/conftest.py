"""Fixtures of the adapter's tests: the two interfaces, servers, an environment without proxies."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, cast

import pytest

from tests.support import apps
from tests.support.harness import AsyncMode, Mode, SyncMode
from tests.support.servers import ProxyServer, RawServer, TlsFiles, tls_contexts

if TYPE_CHECKING:
    from collections.abc import Iterator

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
def app_url() -> Iterator[str]:
    """The URL of tests/support/apps.py on uvicorn, without a final slash."""
    with apps.serve(apps.app) as url:
        yield url
