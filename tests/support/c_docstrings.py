"""What `help()` shows of the decoder in C: the docstrings of the one in Python, as a header.

``python -m tests.support.c_docstrings`` writes ``sse_proto/_docstrings.h``; a test tells when it
is outdated.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Final

import sse_proto._feed

__all__ = ["HEADER", "header"]

HEADER: Final = Path(sse_proto._feed.__file__).with_name("_docstrings.h")

_CLASS: Final = sse_proto._feed.SSEDecoder


def header() -> str:
    """Return the text of the header: a macro for the class, and for each of its public names."""
    lines = [
        "/* Made of _feed.py by `python -m tests.support.c_docstrings`: do not edit. */",
        *_macro("DECODER_DOC", _signed(_CLASS.__name__, inspect.signature(_CLASS), _CLASS)),
    ]
    for name, member in vars(_CLASS).items():
        if name.startswith("_"):
            continue
        doc = inspect.getdoc(member) or ""
        if inspect.isfunction(member):
            doc = _signed(name, inspect.signature(member), member)
        lines += _macro(f"{name.upper()}_DOC", doc)
    return "\n".join(lines) + "\n"


def _signed(name: str, signature: inspect.Signature, documented: object) -> str:
    """Return a docstring as C code begins it, from which `inspect` takes the signature."""
    parameters = [
        parameter.replace(annotation=parameter.empty) for parameter in signature.parameters.values()
    ]
    if parameters and parameters[0].name == "self":
        parameters[0] = parameters[0].replace(name="_self")
    text = str(signature.replace(parameters=parameters, return_annotation=signature.empty))
    return f"{name}{text.replace('_self', '$self')}\n--\n\n{inspect.getdoc(documented)}"


def _macro(name: str, text: str) -> list[str]:
    """Return a macro: one string literal a line."""
    lines = [
        '"' + line.replace("\\", "\\\\").replace('"', '\\"') + "\\n" + '"'
        for line in text.split("\n")
    ]
    lines[-1] = lines[-1].removesuffix('\\n"') + '"'
    return [
        "",
        f"#define {name} \\",
        *(f"    {line} \\" for line in lines[:-1]),
        f"    {lines[-1]}",
    ]


if __name__ == "__main__":
    HEADER.write_text(header(), encoding="utf-8")
