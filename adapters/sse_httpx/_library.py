"""httpx and httpx2: which of them an object is of, and what is taken from it.

Neither is imported here. The one that an object is of has been, by whoever made the object.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ._errors import SSEError

__all__ = ["error_class", "library_of"]

_NAMES: Final = ("httpx", "httpx2")


def library_of(thing: object, kind: str) -> Any:
    """Return the library whose class of this name an object is an instance of, as a module.

    Raises:
        TypeError: It is of none.
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
