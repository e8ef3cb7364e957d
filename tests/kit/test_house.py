"""Arrows point one way: who imports whom, read from the source."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = {
    path.parent.name: path.parent
    for path in (ROOT / "sse_proto" / "__init__.py", *ROOT.glob("adapters/*/__init__.py"))
}
# Which of our packages each may import: programs all, adapters these two.
PROGRAMS: Final = {"sse_tail", "sse_testing"}
ADAPTERS: Final = {"sse_proto", "sse_adapter"}
ALLOWED: Final = {"sse_proto": set[str](), "sse_adapter": {"sse_proto"}}

# What an adapter kit without I/O has no use for. (asyncio and threading are how it waits.)
IO: Final = {"http", "select", "selectors", "socket", "ssl", "subprocess", "urllib"}


def imports(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the modules that a package imports by an absolute name, each with the name taken."""
    for path in folder.rglob("*.py"):
        yield from imports_of(path)


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)


def test_every_package_is_looked_at() -> None:
    assert {"sse_proto", "sse_adapter", "sse_httpxr", "sse_httpx", "sse_tail"} <= set(FOLDERS)
    assert all(list(imports(folder)) for folder in FOLDERS.values())


@pytest.mark.parametrize("package", FOLDERS)
def test_no_package_imports_what_is_private_to_another(package: str) -> None:
    for module, name in imports(FOLDERS[package]):
        first, *rest = module.split(".")
        if first in FOLDERS and first != package:
            assert not any(part.startswith("_") for part in (*rest, name)), (module, name)


@pytest.mark.parametrize("package", sorted(set(FOLDERS) - PROGRAMS))
def test_arrows_point_one_way(package: str) -> None:
    imported = {module.split(".")[0] for module, _ in imports(FOLDERS[package])} & set(FOLDERS)
    assert imported - {package} <= ALLOWED.get(package, ADAPTERS)


def test_the_kit_needs_the_standard_library_alone_and_does_no_io() -> None:
    roots = {module.split(".")[0] for module, _ in imports(FOLDERS["sse_adapter"])}
    assert roots - {"sse_proto"} <= set(sys.stdlib_module_names)
    assert roots.isdisjoint(IO)


def test_no_test_module_imports_another() -> None:
    """What tests share is in tests/support, so that each file can be read, and run, alone."""
    for path in (ROOT / "tests").rglob("*.py"):
        for module, name in imports_of(path):
            last = module.split(".")[-1]
            assert not last.startswith("test_"), (path, module)
            assert not (module.startswith("tests") and name.startswith("test_")), (path, name)


# -- every type of a public signature can be had from a package's top -----------------------------

TOPS: Final = {name: importlib.import_module(name) for name in FOLDERS}


def annotations_of(node: ast.stmt) -> Iterator[ast.expr]:
    """Yield the annotations of a function or class that its users see."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        arguments = node.args
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            yield from filter(None, [each.annotation])
        for variadic in (arguments.vararg, arguments.kwarg):
            if variadic is not None and variadic.annotation is not None:
                yield variadic.annotation
        yield from filter(None, [node.returns])
    elif isinstance(node, ast.AnnAssign):
        yield node.annotation
    elif isinstance(node, ast.ClassDef):
        for member in node.body:
            target = getattr(member, "target", None)
            name = str(getattr(member, "name", None) or getattr(target, "id", "_"))
            if not name.startswith("_") or name == "__init__":
                yield from annotations_of(member)


TREES: Final = {
    path: ast.parse(path.read_text("utf-8"))
    for folder in FOLDERS.values()
    for path in folder.rglob("*.py")
}


def assigned(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a module gives a value, each with that."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = (target.id for target in targets if isinstance(target, ast.Name))
            yield from ((name, node.value) for name in names)


def is_variable(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") in {"TypeVar", "ParamSpec"}


VARIABLES: Final = {
    name for tree in TREES.values() for name, value in assigned(tree) if is_variable(value)
}


def our_names(tree: ast.Module) -> set[str]:
    """Return the names that a module defines, or takes from our packages."""
    names = {name for name, _ in assigned(tree)}
    names |= {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            is_ours = node.level > 0 or (node.module or "").split(".")[0] in FOLDERS
            names |= {alias.asname or alias.name for alias in node.names if is_ours}
    return names - VARIABLES


def names_in(annotation: ast.expr, aliases: dict[str, ast.expr]) -> Iterator[str]:
    """Yield the names of an annotation; of a private alias, those that it stands for."""
    for part in ast.walk(annotation):
        if isinstance(part, ast.Name):
            if part.id.startswith("_") and part.id in aliases:
                yield from names_in(aliases[part.id], aliases)
            else:
                yield part.id


def hidden_types(package: str) -> Iterator[tuple[str, str]]:
    """Yield each public name of a package with a type in its signature that no top exports."""
    exported = {name for top in TOPS.values() for name in top.__all__}
    for path, tree in TREES.items():
        if FOLDERS[package] not in path.parents:
            continue
        hidden = our_names(tree) - exported
        aliases = dict(assigned(tree))
        for node in tree.body:
            name = getattr(node, "name", "")
            if name in TOPS[package].__all__:
                for annotation in annotations_of(node):
                    used = names_in(annotation, aliases)
                    yield from ((name, each) for each in used if each in hidden)


# What is still to be exported, or kept out of signatures. This list only gets shorter.
HIDDEN: Final[dict[str, set[str]]] = {
    "sse_adapter": {"Reader"},
    "sse_httpx": {"_Auth", "_Timeout"},
    "sse_testing": {"Answer", "Connection", "Head", "Recording", "_Link"},
}


@pytest.mark.parametrize("package", FOLDERS)
def test_every_type_of_a_public_signature_can_be_imported(package: str) -> None:
    assert {hidden for _, hidden in hidden_types(package)} == HIDDEN.get(package, set())


def test_the_check_above_would_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for top in TOPS.values():
        kept = [name for name in top.__all__ if name != "ServerSentEvent"]
        monkeypatch.setattr(top, "__all__", kept)
    assert ("iter_events", "ServerSentEvent") in set(hidden_types("sse_proto"))
