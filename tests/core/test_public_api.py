"""The promise: the names at the package's top, and that the core touches nothing of the outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

import sse_proto

PACKAGE: Final = Path(sse_proto.__file__).parent

# What a protocol without I/O has no use for. Also not to be had through another module.
FORBIDDEN: Final = [
    "_socket",
    "_ssl",
    "_thread",
    "asyncio",
    "concurrent",
    "email",
    "http",
    "httpxr",
    "logging",
    "multiprocessing",
    "queue",
    "select",
    "selectors",
    "sched",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "urllib",
]

LIST_MODULES: Final = """
import sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    __import__(name)
print(*sys.modules)
"""


def modules_after_import(*names: str) -> set[str]:
    """Import in an interpreter of its own, without site-packages and the user's settings."""
    command = [sys.executable, "-I", "-S", "-c", LIST_MODULES, str(PACKAGE.parent), *names]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_all_is_sorted_and_complete() -> None:
    names = sse_proto.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name[0].islower(), name))
    assert len(set(names)) == len(names)
    # pytest rewrites the assertions of a distribution with a plugin; "@" is what it adds.
    public = {
        name
        for name, value in vars(sse_proto).items()
        if not name.startswith(("_", "@")) and not isinstance(value, ModuleType)  # sse_proto.vendor
    }
    assert public == set(names)


@pytest.mark.parametrize("name", sse_proto.__all__)
def test_each_name_is_there_and_described(name: str) -> None:
    value: object = getattr(sse_proto, name)
    if name != "BytesLike":
        assert value.__doc__


def test_star_import() -> None:
    namespace: dict[str, object] = {}
    exec("from sse_proto import *", namespace)
    assert set(sse_proto.__all__) <= set(namespace)


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("_*.py")), ids=lambda path: path.name)
def test_modules_are_private_and_say_what_they_export(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith('"""')
    assert "\n__all__ = [" in text


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_the_core_imports_nothing_of_the_outside() -> None:
    bare = modules_after_import()
    # Each of them: also those that are imported late, or not by the package's top.
    modules = {f"sse_proto.{path.stem}" for path in PACKAGE.glob("_[!_]*.py")}
    core = modules_after_import("sse_proto", *sorted(modules)) - bare
    assert core >= {"sse_proto", *modules}
    assert core.isdisjoint(FORBIDDEN)
    roots = {name.partition(".")[0] for name in core if name not in bare}
    assert roots - {"sse_proto"} <= set(sys.stdlib_module_names) | {"__mp_main__"}


def test_the_check_above_would_see_it() -> None:
    assert {"socket", "selectors", "threading"} <= modules_after_import("asyncio")
