"""Docstrings for the reference pages: an extension of griffe, which reads them for mkdocstrings.

In the docstrings `Name` is a reference, and ``text`` is code. Where the former names something on
one of the pages it becomes a link. A list of exceptions under a line of its own ("Iterating
raises:") becomes a list, as "Raises:" does by itself.

Signatures are shown without what is private in them: aliases as what they stand for, type variables
and shapes by a plain name.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any, Final

import griffe

_PACKAGES: Final = ("sse_proto", "sse_adapter", "sse_httpxr", "sse_httpx", "sse_testing")
# Type variables, by what they stand for.
_PLAIN: Final = {"_R": "Response", "_R_co": "Response"}
_REFERENCE: Final = re.compile(r"(?<![`\[\w])`([A-Za-z_][\w.]*)`(?!`)")
# A line that ends so has exceptions under it.
_LEAD: Final = re.compile(r"(?:.*\b(?:raises|also)(?:, .*)?|Raises):")
_ITEM: Final = re.compile(r" {4}(\S[^:]*): (.*)")


class References(griffe.Extension):
    """Rewrites docstrings once all packages are there."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        for parameter in func.parameters:
            parameter.annotation = _without_private(parameter.annotation, func.module)
            if parameter.kind is griffe.ParameterKind.var_keyword:
                parameter.default = None
                continue
            constant = func.module.members.get(str(parameter.default))
            if isinstance(constant, griffe.Attribute):
                parameter.default = constant.value
        func.returns = _without_private(func.returns, func.module)

    def on_attribute(self, *, attr: griffe.Attribute, **_: Any) -> None:
        attr.annotation = _without_private(attr.annotation, attr.module)
        if "TypeAlias" in str(attr.annotation):
            attr.value = _without_private(attr.value, attr.module)
        elif "instance-attribute" in attr.labels:
            attr.value = None  # it is the constructor's argument, or made of it

    def on_class(self, *, cls: griffe.Class, **_: Any) -> None:
        cls.bases = [
            "Protocol" if str(base).startswith("Protocol[") else base
            for base in cls.bases
            if str(base).partition("[")[0] not in ("ABC", "Generic")
        ]

    def on_object(self, *, obj: griffe.Object, loader: griffe.GriffeLoader, **_: Any) -> None:
        if obj.docstring is None:
            return
        text = _with_lists(obj.docstring.value)
        obj.docstring.value = _REFERENCE.sub(lambda found: _link(found[1], obj, loader), text)


def _without_private(value: Any, module: griffe.Module) -> Any:
    """Return an expression, or what it is a part of, without the private names of its module."""
    if isinstance(value, list):
        return [_without_private(part, module) for part in value]
    if isinstance(value, griffe.ExprName) and value.name.startswith("_"):
        meant = module.members.get(value.name)
        if isinstance(meant, griffe.Attribute) and "TypeAlias" in str(meant.annotation):
            return _without_private(meant.value, module)
        value.name = _PLAIN.get(value.name, value.name.lstrip("_"))
    elif isinstance(value, griffe.Expr):
        for field in dataclasses.fields(value):
            part = getattr(value, field.name)
            if isinstance(part, (griffe.Expr, list)):
                setattr(value, field.name, _without_private(part, module))
    return value


def _with_lists(text: str) -> str:
    lines: list[str] = []
    in_list = False
    for line in text.split("\n"):
        item = _ITEM.fullmatch(line) if in_list else None
        if _LEAD.fullmatch(line):
            in_list = True
            is_heading = line[0].isupper() and line.count(" ") < 2
            lines += [f"**{line}**" if is_heading else line, ""]
        elif item is not None:
            names = ", ".join(f"`{name}`" for name in item[1].split(", "))
            lines.append(f"- {names} \N{EN DASH} {item[2]}")
        elif in_list and line.startswith("     "):
            lines.append("  " + line.strip())
        else:
            in_list = in_list and not line
            lines.append(line)
    return "\n".join(lines)


def _link(name: str, obj: griffe.Object, loader: griffe.GriffeLoader) -> str:
    path = _public_path(name, obj, loader)
    return f"`{name}`" if path is None else f"[`{name}`][{path}]"


def _public_path(name: str, obj: griffe.Object, loader: griffe.GriffeLoader) -> str | None:
    """Return where a name is on the reference pages; ``None`` if it is not."""
    first, _, rest = name.partition(".")
    if first in _PACKAGES:
        first, _, rest = rest.partition(".")
        packages = [name.partition(".")[0]]
    else:
        packages = [obj.package.name, "sse_proto"]
    # A member of the same class, or of the class whose method this is.
    for scope in (obj, obj.parent):
        if not rest and scope is not None and scope.is_class and first in scope.all_members:
            if first.startswith("_"):
                return None
            home = _public_path(scope.name, scope, loader) if scope.is_public else None
            return home and f"{home}.{first}"
    for package in packages:
        module = loader.modules_collection.members.get(package)
        if module is not None and first in (module.exports or ()):
            member: Any = module.members[first]
            if rest and rest not in getattr(member, "all_members", {}):
                return None
            return f"{package}.{name.removeprefix(package + '.')}"
    return None
