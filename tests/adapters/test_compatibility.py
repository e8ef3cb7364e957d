"""Code written for ``httpxr.sse`` or ``httpx_sse`` works once its import line is changed.

The programs here are those of httpxr's documentation of ``httpxr.sse``, as functions, with another
URL, and nothing else. They talk to a service in the shape of OpenAI's; see tests/support/apps.py.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import re
import textwrap
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Final

import httpxr
import httpxr.sse
import pytest

import sse_httpxr
from tests.support import apps
from tests.support.harness import Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The whole answer, and the tokens in which it comes.
ANSWER: Final = "Why did the chicken cross the road? To get to the other side."
TOKENS: Final = [
    "Why", " did", " the", " chicken", " cross", " the", " road", "?",
    " To", " get", " to", " the", " other", " side", ".",
]  # fmt: skip

QUICK_START: Final = """
    import asyncio
    import httpxr
    from httpxr.sse import aconnect_sse

    async def main() -> None:
        async with httpxr.AsyncClient() as client:
            async with aconnect_sse(client, "GET", URL + "/events") as source:
                async for event in source.aiter_sse():
                    print(event.event, event.data)

    asyncio.run(main())
"""
HEADERS: Final = """
    import httpxr
    from httpxr.sse import connect_sse

    with httpxr.Client() as client:
        with connect_sse(
            client, "GET", URL + "/events", headers={"Authorization": "Bearer ..."}
        ) as source:
            for event in source.iter_sse():
                print(f"type={event.event!r}")
                print(f"data={event.data!r}")
                print(f"id={event.id!r}")
"""
CHAT: Final = """
    import httpxr
    from httpxr.sse import connect_sse

    with httpxr.Client(timeout=60.0) as client:
        with connect_sse(
            client,
            "POST",
            URL + "/v1/chat/completions",
            headers={"Authorization": "Bearer sk-test"},
            json={
                "model": "gpt-4o",
                "stream": True,
                "messages": [{"role": "user", "content": "Hello!"}],
            },
        ) as source:
            for event in source.iter_sse():
                if event.data == "[DONE]":
                    break
                import json
                chunk = json.loads(event.data)
                delta = chunk["choices"][0]["delta"]
                print(delta.get("content", ""), end="", flush=True)
        print()
"""
ASYNC_CHAT: Final = """
    import asyncio
    import json
    import httpxr
    from httpxr.sse import aconnect_sse

    async def stream_chat(prompt: str) -> str:
        result = []
        async with httpxr.AsyncClient(timeout=60.0) as client:
            async with aconnect_sse(
                client,
                "POST",
                URL + "/v1/chat/completions",
                headers={"Authorization": "Bearer sk-test"},
                json={
                    "model": "gpt-4o",
                    "stream": True,
                    "messages": [{"role": "user", "content": prompt}],
                },
            ) as source:
                async for event in source.aiter_sse():
                    if event.data == "[DONE]":
                        break
                    chunk = json.loads(event.data)
                    delta = chunk["choices"][0]["delta"]
                    if content := delta.get("content"):
                        result.append(content)
                        print(content, end="", flush=True)
        print()
        return "".join(result)

    answer = asyncio.run(stream_chat("Tell me a joke"))
"""
GENERIC: Final = """
    import httpxr
    from httpxr.sse import connect_sse

    with httpxr.Client() as client:
        with connect_sse(client, "GET", URL + "/mixed") as source:
            for event in source.iter_sse():
                match event.event:
                    case "ping":
                        pass  # heartbeat, ignore
                    case "update":
                        print(f"Update: {event.data}")
                    case "error":
                        print(f"Server error: {event.data}")
                        break
"""
ERROR: Final = """
    import httpxr
    from httpxr.sse import SSEError, connect_sse

    with httpxr.Client() as client:
        try:
            with connect_sse(client, "GET", URL + "/html") as source:
                for event in source.iter_sse():
                    print("an event")
        except SSEError as e:
            print(f"SSE error: {type(e).__name__}")
            error = e
"""
EVENTS: Final = """
    import asyncio
    import httpxr
    from httpxr.sse import EventSource, ServerSentEvent, aconnect_sse, connect_sse

    received = []

    with httpxr.Client() as client:
        with connect_sse(client, "GET", URL + PATH) as source:
            assert isinstance(source, EventSource)
            assert source.response.status_code == 200
            for event in source.iter_sse():
                assert isinstance(event, ServerSentEvent)
                received.append((event.event, event.data))

    async def main():
        async with httpxr.AsyncClient() as client:
            async with aconnect_sse(client, "GET", URL + PATH) as source:
                async for event in source.aiter_sse():
                    received.append((event.event, event.data))

    asyncio.run(main())
"""


@pytest.fixture(params=["sse_httpxr", "httpx_sse"])
def dialect(request: pytest.FixtureRequest) -> str:
    """What a program is run with: our module; and httpx-sse, to see that it means the same."""
    module: str = request.param
    if module == "httpx_sse":
        pytest.importorskip("httpx_sse")
        pytest.importorskip("httpx")
    return module


def run(program: str, dialect: str, **variables: object) -> tuple[str, dict[str, Any]]:
    """Run a program written for ``httpxr.sse``; return what it prints, and its variables."""
    source = textwrap.dedent(program).replace("from httpxr.sse import", f"from {dialect} import")
    if dialect == "httpx_sse":
        source = re.sub(r"\bhttpxr\b", "httpx", source)
    namespace: dict[str, Any] = dict(variables)
    code = compile(source, f"<program for {dialect}>", "exec", dont_inherit=True)
    with redirect_stdout(io.StringIO()) as stdout:
        exec(code, namespace)
    return stdout.getvalue(), namespace


# -- the examples of the documentation ------------------------------------------------------------


def test_the_quick_start(dialect: str, app_url: str) -> None:
    printed, _ = run(QUICK_START, dialect, URL=app_url)
    assert printed == "message 0\nmessage 1\nmessage 2\n"


def test_headers_and_the_fields_of_an_event(dialect: str, app_url: str) -> None:
    printed, _ = run(HEADERS, dialect, URL=app_url)
    assert printed.splitlines() == [
        *("type='message'", "data='0'", "id='0'"),
        *("type='message'", "data='1'", "id='1'"),
        *("type='message'", "data='2'", "id='2'"),
    ]


def test_the_chat(dialect: str, app_url: str) -> None:
    printed, _ = run(CHAT, dialect, URL=app_url)
    assert printed == ANSWER + "\n"


def test_the_asynchronous_chat(dialect: str, app_url: str) -> None:
    printed, variables = run(ASYNC_CHAT, dialect, URL=app_url)
    assert printed == ANSWER + "\n"
    assert variables["answer"] == ANSWER


def test_the_generic_stream(dialect: str, app_url: str) -> None:
    printed, _ = run(GENERIC, dialect, URL=app_url)
    assert printed == 'Update: {"progress": 50}\nServer error: {"message": "overloaded"}\n'


def test_the_error(dialect: str, app_url: str) -> None:
    printed, variables = run(ERROR, dialect, URL=app_url)
    assert printed == "SSE error: SSEError\n"
    library = importlib.import_module("httpxr" if dialect == "sse_httpxr" else "httpx")
    assert isinstance(variables["error"], library.TransportError)
    assert "text/html" in str(variables["error"])


@pytest.mark.parametrize("path", ["/events?n=5", "/mixed", "/gzip?n=4"])
def test_the_same_program_receives_the_same_events(app_url: str, path: str) -> None:
    pytest.importorskip("httpx_sse")
    _, ours = run(EVENTS, "sse_httpxr", URL=app_url, PATH=path)
    _, theirs = run(EVENTS, "httpx_sse", URL=app_url, PATH=path)
    assert ours["received"] == theirs["received"]
    assert len(ours["received"]) in (6, 8, 10)


def test_the_alternative_of_the_documentation(mode: Mode, app_url: str) -> None:
    """``response.iter_json()`` there; here a function, which is live."""
    body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    call = {"headers": {"Authorization": "Bearer sk-test"}, "json": body}
    url = f"{app_url}/v1/chat/completions"
    with mode.open(mode.client(), "POST", url, **call) as stream:
        deltas = [chunk["choices"][0]["delta"] for chunk in mode.json(stream.response)]
    assert [delta["content"] for delta in deltas[1:-1]] == TOKENS
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert deltas[-1] == {}


# -- the same, in tests of our own ----------------------------------------------------------------


def chat(mode: Mode, app_url: str, key: str = "sk-test", **more: object) -> Any:
    body = {
        "model": "gpt-4o",
        "stream": True,
        "messages": [{"role": "user", "content": "Tell me a joke"}],
        **more,
    }
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{app_url}/v1/chat/completions"
    return mode.open(mode.client(timeout=60.0), "POST", url, headers=headers, json=body)


def test_the_events_of_a_chat(mode: Mode, app_url: str) -> None:
    with chat(mode, app_url) as stream:
        events = list(stream)
    assert len(events) == len(TOKENS) + 3
    assert all(item.event == "message" and item.id is None for item in events)
    assert events[-1].data == "[DONE]"
    first = json.loads(events[1].data)
    assert first["object"] == "chat.completion.chunk"
    assert first["model"] == "gpt-4o"
    assert first["choices"][0]["delta"] == {"content": "Why"}
    assert [item.json()["choices"][0]["delta"]["content"] for item in events[1:-2]] == TOKENS
    assert events[-2].json()["choices"][0]["finish_reason"] == "stop"


def test_the_usage_of_a_chat(mode: Mode, app_url: str) -> None:
    with chat(mode, app_url, stream_options={"include_usage": True}) as stream:
        last = [*stream][-2].json()
    assert last["choices"] == []
    assert last["usage"] == {"prompt_tokens": 4, "completion_tokens": 15, "total_tokens": 19}


def test_a_wrong_key_shows_what_the_service_says(mode: Mode, app_url: str) -> None:
    with chat(mode, app_url, key="sk-wrong") as stream:
        with pytest.raises(sse_httpxr.SSEError, match="Incorrect API key provided: sk-wrong") as e:
            next(stream)
    assert e.value.status_code == 401
    assert json.loads(e.value.body)["error"]["code"] == "invalid_api_key"


def test_an_answer_that_is_no_stream_is_refused(mode: Mode, app_url: str) -> None:
    with chat(mode, app_url, stream=False) as stream:
        with pytest.raises(sse_httpxr.SSEError, match="application/json") as raised:
            next(stream)
    assert raised.value.status_code == 200


def test_the_service_is_the_one_expected() -> None:
    assert apps.ANSWER == ANSWER
    assert list(apps.TOKENS) == TOKENS


# -- public surfaces ------------------------------------------------------------------------------

# What httpx-sse's modules have at their top, and which is no part of an interface.
NO_INTERFACE: Final = {"__version__"}


@pytest.fixture(params=["httpxr.sse", "httpx_sse"])
def peer(request: pytest.FixtureRequest) -> Any:
    """The modules whose place ours takes."""
    return pytest.importorskip(request.param)


def members(cls: type) -> Iterator[str]:
    return (name for name in dir(cls) if not name.startswith("_"))


def parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def test_every_public_name_is_there(peer: Any) -> None:
    for name in set(peer.__all__) - NO_INTERFACE:
        assert name in sse_httpxr.__all__
        assert inspect.isclass(getattr(sse_httpxr, name)) == inspect.isclass(getattr(peer, name))


@pytest.mark.parametrize("name", ["connect_sse", "aconnect_sse"])
def test_functions_take_the_same_arguments(peer: Any, name: str) -> None:
    ours = parameters(getattr(sse_httpxr, name))
    theirs = [
        parameter
        for parameter in parameters(getattr(peer, name))
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    assert [(p.name, p.kind) for p in ours[: len(theirs)]] == [(p.name, p.kind) for p in theirs]
    # What they pass on to the client's method must be there by name.
    names = set(sse_httpxr.ConnectOptions.__annotations__)
    assert names >= {"params", "headers", "cookies", "content", "data", "files", "json"}
    assert names >= {"auth", "follow_redirects", "timeout", "extensions"}


def test_sources_have_the_same_members(peer: Any) -> None:
    assert set(members(sse_httpxr.EventSource)) >= set(members(peer.EventSource))
    ours, theirs = parameters(sse_httpxr.EventSource), parameters(peer.EventSource)
    assert [p.name for p in ours][: len(theirs)] == [p.name for p in theirs]
    for name in ("iter_sse", "aiter_sse"):
        for more in parameters(getattr(sse_httpxr.EventSource, name))[1:]:
            assert more.kind is more.KEYWORD_ONLY
            assert more.default is None
    assert isinstance(inspect.getattr_static(sse_httpxr.EventSource, "response"), property)


def test_events_are_made_alike(peer: Any) -> None:
    ours, theirs = parameters(sse_httpxr.ServerSentEvent), parameters(peer.ServerSentEvent)
    assert [p.name for p in ours] == [p.name for p in theirs]
    keywords: dict[str, Any] = {"event": "a", "data": "[1]", "id": "7", "retry": 5}
    cases: list[dict[str, Any]] = [{}, {"data": "1"}, keywords]
    for arguments in cases:
        made, other = sse_httpxr.ServerSentEvent(**arguments), peer.ServerSentEvent(**arguments)
        assert (made.event, made.data, made.retry) == (other.event, other.data, other.retry)
        assert (made.id or "") == (other.id or "")
    assert set(members(sse_httpxr.ServerSentEvent)) >= {*keywords, "json"}
    assert sse_httpxr.ServerSentEvent(**keywords).json() == [1]


def test_the_error_is_of_the_same_kind() -> None:
    assert issubclass(sse_httpxr.SSEError, httpxr.TransportError)
    assert issubclass(httpxr.sse.SSEError, httpxr.TransportError)
    assert str(sse_httpxr.SSEError("text")) == str(httpxr.sse.SSEError("text")) == "text"


def test_sync_and_asynchronous_functions_take_the_same() -> None:
    ours = parameters(sse_httpxr.connect_sse)
    theirs = parameters(sse_httpxr.aconnect_sse)
    assert [(p.name, p.kind, p.default) for p in ours] == [
        (p.name, p.kind, p.default) for p in theirs
    ]
    different = {p.name for p, q in zip(ours, theirs, strict=True) if p.annotation != q.annotation}
    assert different == {"client"}
    assert parameters(sse_httpxr.iter_json) == parameters(sse_httpxr.aiter_json)


def test_each_sync_method_has_an_asynchronous_one() -> None:
    names = set(members(sse_httpxr.EventSource))
    for name in ("iter_sse", "iter_json", "close"):
        assert {name, f"a{name}"} <= names
        ours = parameters(getattr(sse_httpxr.EventSource, name))
        theirs = parameters(getattr(sse_httpxr.EventSource, f"a{name}"))
        assert [(p.name, p.kind, p.default) for p in ours] == [
            (p.name, p.kind, p.default) for p in theirs
        ]
    pairs = {f"a{name}" for name in names} & names
    single = {name for name in names if name not in pairs and f"a{name}" not in pairs}
    assert single == {"response", "last_event_id", "reconnection_time"}


def test_what_is_promised_is_there() -> None:
    assert sse_httpxr.__all__ == sorted(sse_httpxr.__all__)
    for name in sse_httpxr.__all__:
        assert getattr(sse_httpxr, name).__doc__
