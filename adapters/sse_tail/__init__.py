"""The command line, ``sse-tail``, and the demo: a program on the adapters' public names."""

from .cli import main

__all__ = ["main"]
