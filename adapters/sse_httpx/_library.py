"""httpx and httpx2: which of them an object belongs to, and what is taken from it.

Neither is imported here: whoever made the object has.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ._errors import SSEError

__all__ = ["error_class", "library_of", "translated"]

_NAMES: Final = ("httpx", "httpx2")
# Packages whose errors the libraries sometimes let through, or which are called below them.
_LOWER: Final = frozenset(("h11", "h2", "hpack", "httpcore", "httpcore2", "hyperframe"))


def library_of(thing: object, kind: str) -> Any:
    """Return the library, as a module, whose class of this name an object is an instance of.

    Raises:
        TypeError: It belongs to neither.
    """
    for name in _NAMES:
        library = sys.modules.get(name)
        if library is not None and isinstance(thing, getattr(library, kind)):
            return library
    cls = type(thing)
    wanted = " or ".join(f"{name}.{kind}" for name in _NAMES)
    raise TypeError(f"expected an {wanted}, not {cls.__module__}.{cls.__qualname__}")


def error_class(library: Any) -> type[SSEError]:
    """Return the ``SSEError`` that is a ``TransportError`` of this library as well."""
    if library.__name__ == "httpx2":
        from ._httpx2 import SSEError as Httpx2Error

        return Httpx2Error
    from ._httpx import SSEError as HttpxError

    return HttpxError


def translated(library: Any, error: BaseException, request: Any) -> BaseException:
    """Return an error from below a library in the library's terms; others unchanged.

    Args:
        library: httpx or httpx2.
        error: What was raised while a request was sent, or its response read.
        request: The request, if there is one.
    """
    cls = type(error)
    package = cls.__module__.partition(".")[0]
    if package in _LOWER:
        # The names are the same in httpcore and httpx, except for what should not get out.
        name = cls.__name__ if package.startswith("httpcore") else "RemoteProtocolError"
        kind = getattr(library, name, library.RemoteProtocolError)
    elif isinstance(error, OSError) and not isinstance(error, TimeoutError):  # also ssl.SSLError
        kind = library.ReadError
    else:
        return error
    new: Exception = kind(str(error) or cls.__name__, request=request)
    new.__cause__ = error
    return new
