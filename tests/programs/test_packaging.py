"""What is published: the wheel and the source distribution, built, looked into, and used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import threading
import venv
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.servers import Exchange, RawServer

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = {
    "sse_proto": Path("sse_proto"),
    **{
        name: Path("adapters", name)
        for name in ("sse_adapter", "sse_httpxr", "sse_httpx", "sse_tail", "sse_testing")
    },
}
MODULES: Final = {
    f"{name}/{path.relative_to(ROOT / folder).as_posix()}"
    for name, folder in PACKAGES.items()
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".pyi", ".typed") or path.parent.name == "vectors"
}

# Exits with 0 when a second event, which the server sends only after the first one was seen, has
# come too; sync, then async.
CLIENT: Final = """
import asyncio, sys
from urllib.request import urlopen
import httpxr
import sse_httpxr
import sse_proto

url = sys.argv[1]

def seen():
    urlopen(url + "seen", timeout=5).close()

with httpxr.Client() as client:
    with sse_httpxr.connect_sse(client, "GET", url + "stream", timeout=5) as source:
        events = source.iter_sse()
        print(next(events).data, end=" ")
        seen()
        print(next(events).data)

async def main():
    async with httpxr.AsyncClient() as client:
        async with sse_httpxr.aconnect_sse(client, "GET", url + "stream", timeout=5) as source:
            events = source.aiter_sse()
            print((await anext(events)).data, end=" ")
            await asyncio.to_thread(seen)
            print((await anext(events)).data)

asyncio.run(main())
print(sse_proto.IMPLEMENTATION, sse_proto.__file__, sse_httpxr.__file__, sep="\\n")
"""


class Distributions(NamedTuple):
    """What was built."""

    sdist: Path
    wheel: Path

    def in_sdist(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            return {name.partition("/")[2] for name in archive.getnames()}

    def in_wheel(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def text_in_wheel(self, name: str) -> str:
        with zipfile.ZipFile(self.wheel) as archive:
            (path,) = (path for path in archive.namelist() if path.endswith(name))
            return archive.read(path).decode()


def output_of(*command: str | Path) -> str:
    # The wheel chooses by itself, also where the tests run without C.
    environment = {
        key: value for key, value in os.environ.items() if key != "SSE_PROTO_PURE_PYTHON"
    }
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path.home(), env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Build the source distribution, and the wheel from that, in a copy of the tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for folder in PACKAGES.values():
        ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")
        shutil.copytree(ROOT / folder, tree / folder, ignore=ignored)
    command = [sys.executable, "-m", "build", "--outdir", str(tree / "dist"), str(tree)]
    if int(metadata.version("setuptools").partition(".")[0]) >= 77:  # or build gets one, slowly
        command.insert(3, "--no-isolation")
    output_of(*command)
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    (wheel,) = (tree / "dist").glob("*.whl")
    return Distributions(sdist, wheel)


@pytest.fixture(scope="module")
def python(distributions: Distributions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has nothing but the wheel."""
    environment = tmp_path_factory.mktemp("environment")
    venv.create(environment, with_pip=False)
    scripts = "Scripts" if os.name == "nt" else "bin"
    interpreter = environment / scripts / Path(sys.executable).name
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter)]
    output_of(*pip, "install", *options, distributions.wheel)
    return interpreter


def test_the_wheel_is_complete(distributions: Distributions) -> None:
    names = distributions.in_wheel()
    assert names >= MODULES
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {
        "sse_adapter/__init__.py",
        "sse_httpxr/_live/__init__.py",
        "sse_tail/__main__.py",
    } <= names
    scripts = distributions.text_in_wheel(".dist-info/entry_points.txt")
    assert scripts.split("\n") == [
        "[console_scripts]",
        "sse-conformance = sse_testing._cli:main",
        "sse-tail = sse_tail:main",
        "",
        "[pytest11]",
        "sse_testing = sse_testing._plugin",
        "",
    ]
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    metadata_text = distributions.text_in_wheel(".dist-info/METADATA")
    assert "License-Expression: MIT" in metadata_text
    assert "Requires-Dist: httpxr>=0.30.24; extra == 'httpxr'" in metadata_text.replace('"', "'")
    assert (ROOT / "README.md").read_text("utf-8") in metadata_text


def test_the_wheel_has_nothing_else(distributions: Distributions) -> None:
    for name in distributions.in_wheel() - MODULES:
        assert ".dist-info/" in name or name.startswith("sse_proto/_speedups."), name
        assert not name.endswith((".c", ".h"))


def test_the_source_distribution_is_complete(distributions: Distributions) -> None:
    names = distributions.in_sdist()
    for module in MODULES:
        package, _, name = module.partition("/")
        assert f"{PACKAGES[package]}/{name}" in names
    assert {"LICENSE", "README.md", "pyproject.toml"} <= names
    assert {
        f"sse_proto/{name}"
        for name in ("_speedups.c", "sse_core.h", "sse_bytes.h", "_docstrings.h")
    } <= names


def test_the_core_needs_nothing_else(python: Path) -> None:
    code = "import sse_proto; print(sse_proto.iter_events([b'data: x\\n\\n']).__next__().data)"
    assert output_of(python, "-I", "-c", code) == "x\n"


@pytest.mark.parametrize(
    ("adapter", "client", "message"),
    [
        ("sse_httpxr", "httpxr", "needs httpxr: pip install 'sse-proto[httpxr]'"),
        (
            "sse_httpx",
            "httpx",
            "needs httpx or httpx2: pip install 'sse-proto[httpx]' or 'sse-proto[httpx2]'",
        ),
    ],
)
def test_an_adapter_without_its_client_says_what_is_missing(
    python: Path, adapter: str, client: str, message: str
) -> None:
    code = f"try: import {adapter}\nexcept ModuleNotFoundError as e: print(e.name, e, sep=': ')"
    assert output_of(python, "-I", "-c", code) == f"{client}: {adapter} {message}\n"


@pytest.fixture
def python_with_httpxr(python: Path) -> Iterator[Path]:
    """The same, with the httpxr of the tests."""
    # By a path file. Those where it lies do not count, so that an editable installation of these
    # packages is not to be found.
    purelib = {"base": str(python.parent.parent), "platbase": str(python.parent.parent)}
    site_packages = Path(sysconfig.get_path("purelib", vars=purelib))
    httpxr = metadata.distribution("httpxr").locate_file("")
    path_file = site_packages / "httpxr.pth"
    path_file.write_text(f"{httpxr}\n", "utf-8")
    yield python
    path_file.unlink()


def test_the_command_is_installed(python_with_httpxr: Path) -> None:
    suffix = ".exe" if os.name == "nt" else ""
    output = output_of(python_with_httpxr.with_name(f"sse-tail{suffix}"), "--version")
    version = metadata.version("httpxr")
    assert re.fullmatch(rf"sse-proto \d+\.\S+, httpxr {re.escape(version)}, Python .+\n", output)


def test_a_live_stream_with_the_wheel(
    distributions: Distributions, python_with_httpxr: Path
) -> None:
    seen = threading.Event()

    def stream(exchange: Exchange) -> None:
        seen.clear()
        exchange.start()
        exchange.send(b"data: 1\n\n")
        if not seen.wait(5):
            raise AssertionError("the first event did not arrive before the second one")
        exchange.send(b"data: 2\n\n")
        exchange.wait_closed(5)

    def note(exchange: Exchange) -> None:
        seen.set()
        exchange.respond()

    with RawServer({"/stream": stream, "/seen": note}) as server:
        output = output_of(python_with_httpxr, "-I", "-c", CLIENT, server.url("/"))

    sync, asynchronous, implementation, *files = output.splitlines()
    assert sync == asynchronous == "1 2"
    assert all(Path(file).is_relative_to(python_with_httpxr.parent.parent) for file in files), files
    built = any(name.endswith((".so", ".pyd")) for name in distributions.in_wheel())
    assert implementation == ("c" if built else "python")
