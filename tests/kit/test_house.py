"""Arrows point one way: who imports whom, read from the source."""

from __future__ import annotations

import ast
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
