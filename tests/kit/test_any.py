"""`Any` stands in no public signature but those that are named here."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from types import FunctionType
from typing import Final

import pytest

# Signatures that may have `Any`.
JSON: Final = {  # where the caller names no type, JSON may be anything
    *("ServerSentEvent.json", "SSEError.json", "json_items", "async_json_items"),
    *("iter_json", "aiter_json", "EventSource.iter_json", "EventSource.aiter_json"),
    *("Subscription.iter_json", "AsyncSubscription.aiter_json"),
    "EventSource.__init_subclass__",  # a class variable cannot be generic
}
CLIENTS: Final = {  # what is httpx's or httpx2's: no type names both, and either may be missing
    *(
        f"{name}.{method}"
        for name in ("Client", "AsyncClient")
        for method in ("build_request", "send")
    ),
    *("Response.headers", "Response.request", "SSEError.__init__"),
}


def signatures(package: str) -> Iterator[tuple[str, FunctionType]]:
    """Yield the public functions of a package, and the methods and properties of its classes."""
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isfunction(value):
            yield name, inspect.unwrap(value)
        elif inspect.isclass(value):
            for base in value.__mro__:
                if base.__module__.partition(".")[0] != package:
                    continue
                for member, found in vars(base).items():
                    is_public = not member.startswith("_") or member.endswith("__")
                    function = found.fget if isinstance(found, property) else found
                    function = getattr(function, "__func__", function)
                    if is_public and isinstance(function, FunctionType):
                        yield f"{name}.{member}", function


@pytest.mark.parametrize("package", ["sse_proto", "sse_adapter", "sse_httpxr", "sse_httpx"])
def test_any_stands_in_no_other_signature(package: str) -> None:
    found = {
        name
        for name, function in signatures(package)
        for annotation in function.__annotations__.values()
        # What a coroutine yields and is sent is between it and its event loop.
        if re.search(r"\bAny\b", str(annotation).replace("Coroutine[Any, Any, ", ""))
    }
    assert found <= JSON | (CLIENTS if package == "sse_httpx" else set())
    assert found or package == "sse_httpxr"
