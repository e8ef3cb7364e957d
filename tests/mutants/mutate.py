"""Mutants: copies of a decoder's source with one thing changed.

What is changed: comparisons, constants, conditions, operators, methods; statements are left out.
All mutants of a source are in one list, always in the same order.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import sse_testing

__all__ = ["DECODERS", "Mutant", "mutants", "source_of"]

_FOLDER: Final = Path(__file__).parent / "decoders"

DECODERS: Final = ("blocks", "lines", "machine", "patterns", "reference", "spans")

_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_METHODS: Final = {
    "partition": "rpartition",
    "removeprefix": "removesuffix",
    "startswith": "endswith",
    "endswith": "startswith",
    "find": "rfind",
    "index": "rindex",
    "isdigit": "isalnum",
    "fullmatch": "match",
    "lstrip": "rstrip",
}


_Apply = Callable[[ast.AST], None]


@dataclass(frozen=True)
class Mutant:
    """A changed decoder."""

    decoder: str
    line: int
    line_text: str
    """The line that the change is in, without spaces around it; of a statement, its begin."""
    change: str
    _node: int
    """Its number in the tree."""
    _apply: _Apply

    @property
    def source(self) -> str:
        """What is to be run."""
        tree = ast.parse(source_of(self.decoder))
        self._apply(next(node for i, node in enumerate(ast.walk(tree)) if i == self._node))
        return ast.unparse(ast.fix_missing_locations(tree))

    def __str__(self) -> str:
        return f"{self.decoder}:{self.line}, {self.change}: {self.line_text}"


def source_of(decoder: str) -> str:
    """Return the source of a decoder that is right."""
    if decoder == "reference":
        return (Path(sse_testing.__file__).parent / "_reference.py").read_text("utf-8")
    return (_FOLDER / f"{decoder}.py").read_text("utf-8")


@cache
def mutants(decoder: str) -> tuple[Mutant, ...]:
    """Return all mutants of a decoder, in the order of its lines."""
    source = source_of(decoder)
    tree, lines = ast.parse(source), source.splitlines()
    fixed = set(_fixed(tree))
    found: list[Mutant] = []
    for number, node in enumerate(ast.walk(tree)):
        for change, apply in () if node in fixed else _changes(node):
            line: int = getattr(node, "lineno", 0)
            text = lines[line - 1].strip()
            found.append(Mutant(decoder, line, text, change, number, apply))
    return tuple(sorted(found, key=lambda mutant: (mutant.line, mutant.change)))


def _fixed(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what has nothing to do with decoding: docstrings, annotations, exports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value
        for name in ("annotation", "returns"):
            if (annotation := getattr(node, name, None)) is not None:
                yield from ast.walk(annotation)
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            yield from ast.walk(node.value)


def _changes(node: ast.AST) -> Iterator[tuple[str, _Apply]]:
    """Yield what can be changed in one node: a text for people, and what changes it."""
    if isinstance(node, ast.Compare):
        was, becomes = type(node.ops[0]), _COMPARISONS[type(node.ops[0])]
        yield f"{was.__name__} becomes {becomes.__name__}", _set("ops", lambda: [becomes()])
    elif isinstance(node, ast.BoolOp):
        op = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"becomes {op.__name__}", _set("op", op)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        if isinstance(node.left, ast.Constant) or isinstance(node.right, ast.Constant):
            left = node.left
            yield "what is added is left out", _set("right", lambda: deepcopy(left))
    elif isinstance(node, (ast.If, ast.IfExp)):
        yield "condition is true", _set("test", lambda: ast.Constant(True))
        yield "condition is false", _set("test", lambda: ast.Constant(False))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not is left out", _set("op", ast.UAdd)
    elif isinstance(node, ast.Attribute) and node.attr in _METHODS:
        becomes_name = _METHODS[node.attr]
        yield f"{node.attr} becomes {becomes_name}", _set("attr", lambda: becomes_name)
    elif isinstance(node, ast.Continue):
        yield "continue becomes break", lambda each: setattr(each, "__class__", ast.Break)
    if isinstance(node, (ast.FunctionDef, ast.For, ast.If, ast.While)):
        for index, statement in enumerate(node.body):
            if isinstance(statement, (ast.Assign, ast.AugAssign)) or (
                isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
            ):
                text = ast.unparse(statement).partition("\n")[0][:60]
                yield f"left out: {text}", _without(index)
    if isinstance(node, ast.Constant):
        for constant in _constants(node.value):
            yield f"{node.value!r} becomes {constant!r}", _set("value", _giving(constant))


def _constants(value: object) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, (str, bytes)) and len(value) < 12:
        if value in ("\n", "\r", "\0", " ", ":"):
            yield "x"
        elif value in (b"\n", b"\r", b"\0", b" ", b":"):
            yield b"x"
        elif value:
            yield value[:-1]


def _giving(value: object) -> Callable[[], object]:
    return lambda: value


def _set(field: str, make: Callable[[], object]) -> _Apply:
    return lambda node: setattr(node, field, make())


def _without(index: int) -> _Apply:
    def apply(node: ast.AST) -> None:
        assert isinstance(node, (ast.FunctionDef, ast.For, ast.If, ast.While))
        node.body[index] = ast.Pass()

    return apply
