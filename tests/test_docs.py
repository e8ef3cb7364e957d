"""The documentation is true: its code runs, prints what it says, and names what there is."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import pytest

from benchmarks import conformance
from benchmarks.peers import find_peers

from .apps import API_KEY, app, serve

if TYPE_CHECKING:
    from types import CodeType

ROOT: Final = Path(__file__).parent.parent
DOCS: Final = ROOT / "docs"
REFERENCE: Final = DOCS / "reference.md"
PAGES: Final = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("**/*.md"))]
PACKAGES: Final = ("sse_proto", "sse_httpxr")

# A block of code; a comment right before it, and the block of text right after it, belong to it.
BLOCK: Final = re.compile(
    r"(?:^<!-- (?P<comment>.*?) -->\n\n)?"
    r"^```python\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
TUTORIAL_URL: Final = "http://127.0.0.1:8000"


class Block(NamedTuple):
    """A block of Python in a page."""

    page: Path
    line: int
    comment: str
    code: str
    output: str | None

    def compiled(self, replacements: dict[str, str]) -> CodeType:
        code = self.code
        for old, new in replacements.items():
            code = code.replace(old, new)
        return compile("\n" * self.line + code, str(self.page), "exec")


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in BLOCK.finditer(text):
            line = text.count("\n", 0, match.start("code")) - 1
            yield Block(page, line, match["comment"] or "", match["code"], match["output"])


BLOCKS: Final = list(blocks())


def named(some: list[Block]) -> list[Any]:
    return [
        pytest.param(block, id=f"{block.page.relative_to(ROOT)}:{block.line + 2}") for block in some
    ]


# -- code ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service() -> Generator[str, None, None]:
    with serve(app) as url:
        yield url


@pytest.fixture(scope="module")
def tutorial_server() -> Generator[str, None, None]:
    """The server of the tutorial, as it stands there, on a free port."""
    code = next(block.code for block in BLOCKS if "serve_forever" in block.code)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    command = [sys.executable, "-c", code.replace("8000", str(port))]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # it logs its requests there
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def test_blocks_are_found() -> None:
    fences = sum(page.read_text("utf-8").count("```python\n") for page in PAGES)
    assert len(BLOCKS) == fences > 30


@pytest.mark.parametrize("block", named([block for block in BLOCKS if not block.comment]))
def test_code_runs(
    block: Block,
    request: pytest.FixtureRequest,
    service: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replacements = {"https://example.com": service, "https://api.openai.com": service}
    if TUTORIAL_URL in block.code:
        replacements[TUTORIAL_URL] = request.getfixturevalue("tutorial_server")
    monkeypatch.setenv("OPENAI_API_KEY", API_KEY)
    exec(block.compiled(replacements), {"__name__": "__main__"})
    printed = capsys.readouterr()
    assert printed.err == ""
    if block.output is not None:
        # Where an output ends with a blank line, the page has one; pages have no trailing spaces.
        assert printed.out == block.output


@pytest.mark.parametrize("block", named([block for block in BLOCKS if block.comment]))
def test_other_code_is_valid(block: Block) -> None:
    kind, _, path = block.comment.partition("file: ")
    if path:  # tested where it lies
        assert block.code == (ROOT / path).read_text("utf-8")
    assert re.fullmatch(r"|signature|not run: .+", kind)
    block.compiled({})


# -- the reference ---------------------------------------------------------------------------------


def sections() -> Iterator[tuple[str, str, str]]:
    """Yield package, name and text of each entry of the reference."""
    for part in re.split(r"^## ", REFERENCE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        package, _, entries = part.partition("\n")
        for entry in re.split(r"^### ", entries, flags=re.MULTILINE)[1:]:
            heading, _, text = entry.partition("\n")
            yield package, heading.strip("`"), text


SECTIONS: Final = list(sections())


@pytest.mark.parametrize("package", PACKAGES)
def test_reference_has_every_public_name(package: str) -> None:
    names = [name for section_package, name, _ in SECTIONS if section_package == package]
    assert names == importlib.import_module(package).__all__


def parameters(function: Callable[..., Any]) -> list[tuple[str, Any, str]]:
    """Return name, kind and default of each parameter."""
    return [
        (p.name, p.kind, "" if p.default is p.empty else repr(p.default))
        for p in inspect.signature(function).parameters.values()
    ]


def written_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[Any]:
    """Return the same of a function in a signature block, which need not be executable."""
    bare = ast.parse("def f(): ...").body[0]
    assert isinstance(bare, ast.FunctionDef)
    bare.args = function.args
    for argument in ast.walk(bare.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    module = ast.fix_missing_locations(ast.Module([bare], []))
    namespace: dict[str, Any] = {"UNSET": importlib.import_module("sse_httpxr._live").UNSET}
    exec(compile(module, str(REFERENCE), "exec"), namespace)
    return parameters(namespace["f"])


@pytest.mark.parametrize(
    ("package", "name", "text"), [pytest.param(*s, id=f"{s[0]}.{s[1]}") for s in SECTIONS]
)
def test_reference_has_signatures_and_members(package: str, name: str, text: str) -> None:
    # A decoder in C does not tell the defaults of its parameters.
    module = "sse_proto._decoder" if name == "SSEDecoder" else package
    value: Any = getattr(importlib.import_module(module), name)
    match = BLOCK.search(text)
    if match is None:
        assert name in ("BytesLike", "IMPLEMENTATION") or "The same class as" in text
        return
    assert match["comment"] == "signature"
    (definition,) = ast.parse(match["code"]).body
    if isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        assert definition.name == name
        bare = inspect.unwrap(value)
        is_async = inspect.iscoroutinefunction(bare) or inspect.isasyncgenfunction(bare)
        assert isinstance(definition, ast.AsyncFunctionDef) == is_async
        assert written_parameters(definition) == parameters(value)
        return
    assert isinstance(definition, ast.ClassDef)
    assert definition.name == name
    bases = {"NamedTuple" if base is tuple else base.__name__ for base in value.__bases__}
    assert {ast.unparse(base).rpartition(".")[2] for base in definition.bases} == bases - {"object"}
    fields = [field for field in definition.body if isinstance(field, ast.AnnAssign)]
    assert [ast.unparse(field.target) for field in fields] == list(getattr(value, "_fields", ()))
    defaults = [ast.literal_eval(field.value) for field in fields if field.value is not None]
    assert defaults == list(getattr(value, "_field_defaults", {}).values())
    for method in definition.body:
        if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found = getattr(value, method.name)
            assert isinstance(method, ast.AsyncFunctionDef) == inspect.iscoroutinefunction(found)
            assert written_parameters(method) == parameters(found)
    namespace = cast("dict[str, object]", vars(value))
    for member in namespace:
        if not member.startswith("_"):
            assert re.search(rf"\b{member}\b", text), member


# -- the rest --------------------------------------------------------------------------------------


def slug(heading: str) -> str:
    """Return the anchor that GitHub and MkDocs make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(match[1]) for match in re.finditer(r"^#+ (.*)$", page.read_text("utf-8"), re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    for match in re.finditer(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        target, _, anchor = match[1].replace("\n", " ").partition("#")
        if target.startswith("https://"):
            continue
        path = page.parent / target if target else page
        assert path.is_file(), match[1]
        assert not anchor or anchor in anchors(path), match[1]


def test_index_leads_to_every_page() -> None:
    text = (DOCS / "index.md").read_text("utf-8")
    for page in DOCS.glob("**/*.md"):
        assert page.name == "index.md" or f"({page.relative_to(DOCS).as_posix()})" in text


def test_architecture_has_every_module() -> None:
    text = (DOCS / "explanation" / "architecture.md").read_text("utf-8")
    named_there = set(re.findall(r"^\| `(_\w+)`", text, re.M))
    folders = (ROOT / "sse_proto", ROOT / "adapters" / "sse_httpxr")
    modules = {path.stem for folder in folders for path in folder.glob("_*.*")} - {"__init__"}
    assert named_there == {name.partition(".")[0] for name in modules} - {"__pycache__"}


def test_readme_says_how_many_vectors_pass() -> None:
    (row,) = re.findall(r"^\| vectors of the standard .*$", PAGES[0].read_text("utf-8"), re.M)
    ours, httpxr_sse, httpx_sse = (int(n) for n in re.findall(r"(\d+) %", row)[:3])
    vectors = conformance.vectors()
    for peer in find_peers(["sse-proto (Python)", "httpxr.sse", "httpx-sse"])[0]:
        claimed = {"httpxr.sse": httpxr_sse, "httpx-sse": httpx_sse}.get(peer.name, ours)
        for bytewise in (False, True):
            passed = sum(not conformance.failure(peer, v, bytewise=bytewise) for v in vectors)
            assert passed == len(vectors) if peer.is_ours else passed < len(vectors)
            assert abs(100 * passed / len(vectors) - claimed) < 1.5


@pytest.mark.skipif(os.name == "nt", reason="the two commands need make")
def test_make_knows_the_commands_of_the_readme() -> None:
    commands = set(re.findall(r"^make (\w+)", PAGES[0].read_text("utf-8"), re.M))
    assert commands == {"demo", "test"}
    for command in commands:
        run = ["make", "--dry-run", "--no-print-directory", command]
        assert subprocess.run(run, cwd=ROOT, capture_output=True, check=False).returncode == 0
