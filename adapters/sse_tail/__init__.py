"""The command line, ``sse-tail``, and the demo: a program on the public names of the adapters."""

from .cli import main

__all__ = ["main"]
