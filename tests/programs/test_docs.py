"""The documentation is true: its code runs, prints what it says, and names what there is."""

from __future__ import annotations

import ast
import builtins
import collections.abc
import importlib
import inspect
import io
import os
import re
import socket
import subprocess
import sys
import time
import tokenize
import typing
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import pytest

import sse_testing
from benchmarks import conformance
from benchmarks.peers import find_peers
from examples.conformance import matrix, peers
from tests.support.apps import API_KEY, app, serve
from tests.support.servers import Exchange, RawServer

if TYPE_CHECKING:
    from types import CodeType

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
README: Final = ROOT / "README.md"
LLMS: Final = ROOT / "llms.txt"
PAGES: Final = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("**/*.md")), LLMS]
PACKAGES: Final = ("sse_proto", "sse_adapter", "sse_httpxr", "sse_httpx", "sse_testing")

# A block of code; a comment right before it, and the block of text right after it, belong to it.
BLOCK: Final = re.compile(
    r"(?:^<!-- (?P<comment>.*?) -->\n\n)?"
    r"^```python\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)
TUTORIAL_URL: Final = "http://127.0.0.1:8000"
ANTHROPIC_URL: Final = "https://api.anthropic.com"
SERVICES: Final = ("https://example.com", "https://api.openai.com", ANTHROPIC_URL)


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
        # Without this module's own `annotations`, which a page may not have.
        return compile("\n" * self.line + code, str(self.page), "exec", dont_inherit=True)


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
    replacements: dict[str, str] = dict.fromkeys(SERVICES, service)
    if TUTORIAL_URL in block.code:
        replacements[TUTORIAL_URL] = request.getfixturevalue("tutorial_server")
    if "import httpx2" in block.code:
        pytest.importorskip("httpx2")
    monkeypatch.setenv("OPENAI_API_KEY", API_KEY)
    monkeypatch.setenv("ANTHROPIC_API_KEY", API_KEY)
    exec(block.compiled(replacements), {"__name__": "__main__"})
    printed = capsys.readouterr()
    assert printed.err == ""
    if block.output is not None:
        # Where an output ends with a blank line, the page has one; pages have no trailing spaces.
        assert printed.out == block.output


def test_an_error_in_the_middle_of_an_answer_becomes_what_the_page_says(
    service: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = (block for block in BLOCKS if ANTHROPIC_URL in block.code)
    monkeypatch.setenv("ANTHROPIC_API_KEY", API_KEY)
    exec(block.compiled({ANTHROPIC_URL: f"{service}/overloaded"}), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    assert "overloaded_error" in printed
    assert f"\n```text\n{printed}```\n" in block.page.read_text("utf-8")


@pytest.mark.parametrize("block", named([block for block in BLOCKS if block.comment]))
def test_other_code_is_valid(block: Block) -> None:
    kind, _, path = block.comment.partition("file: ")
    if path:  # tested where it lies
        assert block.code == (ROOT / path).read_text("utf-8")
    assert re.fullmatch(r"|not run: .+", kind)
    block.compiled({})


# -- the reference ---------------------------------------------------------------------------------


def reference(package: str) -> str:
    return (DOCS / "reference" / f"{package}.md").read_text("utf-8")


@pytest.mark.parametrize("package", PACKAGES)
def test_reference_has_every_public_name(package: str) -> None:
    text = reference(package)
    public = re.findall(r"^::: (\S+)$", text, re.M)
    names = importlib.import_module(package).__all__
    assert sorted(public) == sorted(f"{package}.{name}" for name in names)
    rows = re.findall(r"^\| `(\w+)` \| ", text, re.M)
    assert [f"{package}.{row}" for row in rows] == public


def documented() -> Iterator[Any]:
    """Yield the entries of the reference that can have a docstring, each under its own path."""
    for package in PACKAGES:
        for entry in re.findall(r"^::: (\S+)$", reference(package), re.M):
            module, _, name = entry.rpartition(".")
            # Where the decoder in C is in use, the pages have the one that it was made after.
            module = "sse_proto._feed" if name == "SSEDecoder" else module
            value = getattr(importlib.import_module(module), name)
            if inspect.isclass(value) or inspect.isroutine(value):
                yield pytest.param(value, id=entry)


@pytest.mark.parametrize("value", list(documented()))
def test_reference_has_docstrings_to_show(value: Any) -> None:
    assert value.__doc__
    is_shape = getattr(value, "_is_protocol", False)  # shown without its members
    if inspect.isclass(value) and not issubclass(value, Exception) and not is_shape:
        for name in dir(value):
            member: object = inspect.getattr_static(value, name)
            if not name.startswith("_") and isinstance(member, (FunctionType, property)):
                assert inspect.getdoc(getattr(value, name)), name  # perhaps of a base class


@pytest.mark.parametrize("package", PACKAGES)
def test_options_have_docstrings(package: str) -> None:
    for path in (ROOT / package, ROOT / "adapters" / package):
        for source in path.glob("_options.py"):
            for node in ast.walk(ast.parse(source.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef) and node.name.endswith("Options"):
                    fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
                    docstrings = [item for item in node.body[1:] if isinstance(item, ast.Expr)]
                    assert len(docstrings) == len(fields), node.name


def annotations_of(function: Any) -> Iterator[str]:
    yield from (str(p.annotation) for p in inspect.signature(function).parameters.values())
    yield str(inspect.signature(function).return_annotation)


def functions(value: Any) -> Iterator[Any]:
    """Yield a function, or the public methods and properties of a class."""
    if not inspect.isclass(value):
        yield value
        return
    for name in dir(value):
        member: object = inspect.getattr_static(value, name)
        if isinstance(member, property):
            yield member.fget
        elif isinstance(member, FunctionType) and not name.startswith("_"):
            yield member


@pytest.mark.parametrize("value", list(documented()))
def test_docstrings_list_every_argument_or_none(value: Any) -> None:
    for function in {value, *functions(value)}:
        _, _, listed = f"{inspect.cleandoc(function.__doc__ or '')}\n".partition("\nArgs:\n")
        (section,) = re.findall(r"\A(?:    .*\n)*", listed)
        names = ", ".join(re.findall(r"^ {4}(\w[\w, ]*): ", section, re.M)).split(", ")
        parameters = inspect.signature(function).parameters if section else ()
        assert names == [name for name in parameters if name != "self"] or not section


@pytest.mark.parametrize("value", list(documented()))
def test_signatures_name_what_can_be_imported(value: Any) -> None:
    ours = {name for package in PACKAGES for name in importlib.import_module(package).__all__}
    theirs = {"httpxr", "logging", "ssl", "Path", "Random"}
    variables = {"_R", "_R_co", "_T", "R", "_HandlerT", "_Own", "_Request"}
    known = {*ours, *theirs, *variables, *dir(builtins), *dir(typing), *dir(collections.abc)}
    for function in functions(value):
        if function.__module__.partition(".")[0] not in PACKAGES:
            continue  # of httpxr's own errors
        for annotation in annotations_of(function):
            text = re.sub(r"'[^']*'|<[^>]*>", "", annotation)
            names = re.findall(r"(?<![.\w])[A-Za-z_]\w*", text)
            assert set(names) <= known, (function.__name__, annotation)


# What has no code in it.
SPACE: Final = frozenset(
    {
        *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT),
        tokenize.ENDMARKER,
    }
)


def lines_of_code(source: str) -> int:
    """Count the lines that have code, without docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in SPACE:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_the_adapter_to_write_is_short_and_stands_on_public_names() -> None:
    source = (ROOT / "examples" / "adapters" / "sse_http_client.py").read_text("utf-8")
    page = (DOCS / "howto" / "write-an-adapter.md").read_text("utf-8")
    assert f"in {lines_of_code(source)} lines of code" in page
    assert lines_of_code(source) < 80
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            assert not any(name.startswith("_") for name in names if name != "__future__")


def test_the_adapter_can_leave_gzip_to_the_kit() -> None:
    page = DOCS / "howto" / "write-an-adapter.md"
    (block,) = (b for b in BLOCKS if b.page == page and "content_encoding" in b.code[:40])
    namespace: dict[str, Any] = {}
    exec(block.compiled({}), namespace)
    adapter: Any = importlib.import_module("examples.adapters.sse_http_client")
    cls = type("GzipBody", (adapter.ClientBody,), namespace)
    chunks = [b"data: 1\n\n", b"data: 2\n\n"]
    gzip = zlib.compressobj(wbits=31)

    def handle(exchange: Exchange) -> None:
        exchange.start(headers=[("Content-Encoding", "gzip")])
        for chunk in chunks:
            exchange.send(gzip.compress(chunk) + gzip.flush(zlib.Z_SYNC_FLUSH))
        exchange.wait_closed(5)

    with RawServer({"/": handle}) as server:
        connection = HTTPConnection(urlsplit(server.url()).netloc, timeout=5)
        connection.request("GET", "/", headers={"Accept-Encoding": "gzip"})
        sock = connection.sock
        body = cls(connection.getresponse(), connection, sock)
        with closing(adapter.EventSource(body)) as source:
            events = iter(source)
            assert [next(events).data for _ in chunks] == ["1", "2"]


# -- the rest --------------------------------------------------------------------------------------


def slug(heading: str) -> str:
    """Return the anchor that GitHub and MkDocs make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(match[1]) for match in re.finditer(r"^#+ (.*)$", page.read_text("utf-8"), re.M)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    for match in re.finditer(r"\]\(([^)]+)\)", prose):
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


def test_readme_leads_to_every_page() -> None:
    reached: set[Path] = set()
    following = {README}
    while following:
        page = following.pop()
        reached.add(page)
        links = re.findall(r"\]\(([^):]+\.md)(?:#[^)]*)?\)", page.read_text("utf-8"))
        found = {(page.parent / link.replace("\n", " ")).resolve() for link in links}
        following |= {path for path in found if path.is_file()} - reached
    assert {page for page in PAGES if DOCS in page.parents} <= reached


def pages_of_the_site() -> list[str]:
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    _, _, nav = config.partition("\nnav:\n")
    nav, _, _ = nav.partition("\n\n")
    return re.findall(r": (\S+\.md)$", nav, re.M)


def test_site_has_every_page() -> None:
    pages = pages_of_the_site()
    assert len(pages) == len(set(pages))
    assert set(pages) == {page.relative_to(DOCS).as_posix() for page in DOCS.glob("**/*.md")}


def test_llms_txt_has_every_page_and_every_package() -> None:
    text = LLMS.read_text("utf-8")
    entries = re.findall(r"^- \[(.+)\]\((docs/.+\.md)\)", text, re.M)
    assert [path for _, path in entries] == [f"docs/{page}" for page in pages_of_the_site()]
    for title, path in entries:
        assert (ROOT / path).read_text("utf-8").startswith(f"# {title}")
    for package in PACKAGES:
        assert f"`{package}`" in text
    for name in set(re.findall(r"`(a?connect_sse|a?subscribe|iter_json|\w+Error)`", text)):
        assert name in (*importlib.import_module("sse_httpx").__all__, "iter_json")


def section_of(page: str, heading: str) -> str:
    """Return what an explanation has below a heading, up to the next one of two `#` or more."""
    _, _, section = (DOCS / "explanation" / page).read_text("utf-8").partition(f"\n{heading}\n")
    return section.partition("\n##")[0]


@pytest.mark.parametrize(
    ("heading", "folder"),
    [
        ("## The core: sse_proto", "sse_proto"),
        ("## The kit: sse_adapter", "adapters/sse_adapter"),
        ("## An adapter: sse_httpx", "adapters/sse_httpx"),
        ("## For tests: sse_testing", "adapters/sse_testing"),
        ("## An adapter: sse_httpxr", "adapters/sse_httpxr"),
        ("### What httpxr needs: _live", "adapters/sse_httpxr/_live"),
    ],
)
def test_architecture_has_every_module(heading: str, folder: str) -> None:
    section = section_of("architecture.md", heading)
    rows = re.findall(r"^\| `(\w+)(?:\.h)?`", section, re.M)
    modules = {
        path.name.partition(".")[0]
        for path in (ROOT / folder).iterdir()
        if path.suffix in (".py", ".c", ".h") or (path / "__init__.py").is_file()
    }
    assert len(rows) == len(set(rows))
    assert set(rows) == modules - {"__init__"}


def test_a_bytes_way_is_as_the_architecture_says() -> None:
    section = section_of("architecture.md", "## A byte's way")
    steps = re.findall(r"^\| \d+ \| (\S.*?) \| (.*) \|$", section, re.M)
    assert len(steps) == 10
    for place, what in steps[1:]:
        (file,) = re.findall(r"`([\w/]+\.\w+)`", place)
        folders = (ROOT, ROOT / "adapters", ROOT / "adapters" / "sse_httpxr")
        (source,) = (folder / file for folder in folders if (folder / file).is_file())
        for name in re.findall(r"`(?:\w+\.)?(\w+)`", what):
            assert name in source.read_text("utf-8"), name


def failures_in_the_matrix(parser: str) -> int:
    """Return how many vectors a parser fails, by its row of the page from ``make matrix``."""
    text = (DOCS / "explanation" / "matrix.md").read_text("utf-8")
    (row,) = re.findall(rf"^\| {re.escape(parser)} [\d.]+ \|.*$", text, re.M)
    return sum(map(int, re.findall(r"(?<= )\d+(?= \|)", row)))


def test_pages_count_the_vectors() -> None:
    counts = {len(sse_testing.vectors()), len(conformance.vectors())}
    counted = 0
    for page in PAGES:
        if page.name != "CHANGELOG.md":  # what a release had is no longer counted
            text = " ".join(page.read_text("utf-8").split())
            found = re.findall(r"(\d+) (?:\[?vectors|that the standard decides)\b", text)
            assert set(map(int, found)) <= counts, page
            counted += len(found)
    assert counted > 3


def test_pages_count_the_parsers() -> None:
    others = [name for name in (*peers.NAMES, *matrix.NPM) if not name.startswith("sse-proto")]
    assert len(others) == 16
    assert "for sixteen parsers" in (DOCS / "howto" / "fuzzing.md").read_text("utf-8")
    table = (DOCS / "explanation" / "matrix.md").read_text("utf-8")
    assert len(re.findall(r"^\| .+ \| \*\*[\d.]+ %\*\* \|", table, re.M)) == 20
    assert "how twenty of them fare" in (DOCS / "index.md").read_text("utf-8")


def test_performance_says_how_many_vectors_the_fastest_peer_passes() -> None:
    section = section_of("performance.md", "### Where we fall short")
    (claimed,) = re.findall(r"passes (\d+) of the \d+ vectors", section)
    peer = "launchdarkly-eventsource"
    assert int(claimed) == len(conformance.vectors()) - failures_in_the_matrix(peer)


def test_readme_says_how_many_vectors_pass() -> None:
    (row,) = re.findall(r"^\| vectors of the standard .*$", README.read_text("utf-8"), re.M)
    ours, also_ours, httpxr_sse, httpx_sse, httpx2 = (int(n) for n in re.findall(r"(\d+) %", row))
    assert ours == also_ours
    vectors = conformance.vectors()
    for name, claimed in (("httpxr.sse", httpxr_sse), ("httpx-sse", httpx_sse), ("httpx2", httpx2)):
        assert claimed == round(100 - 100 * failures_in_the_matrix(name) / len(vectors))
    for peer in find_peers(["sse-proto (Python)", "httpxr.sse", "httpx-sse"])[0]:
        claimed = {"httpxr.sse": httpxr_sse, "httpx-sse": httpx_sse}.get(peer.name, ours)
        for bytewise in (False, True):
            passed = sum(not conformance.failure(peer, v, bytewise=bytewise) for v in vectors)
            assert passed == len(vectors) if peer.is_ours else passed < len(vectors)
            assert abs(100 * passed / len(vectors) - claimed) < 1.5


def test_feed_raw_is_pointless_where_the_page_says_so() -> None:
    section = section_of("performance.md", "## What `feed_raw` brings")
    rows = re.findall(r"^\| ([^|]+) \| (\d.*) \|$", section, re.M)
    assert len(rows) == 8
    for name, cells in rows:
        (*of_parsers, handed_on) = re.findall(r"\d+ ns: ([\d.]+), ([\d.]+)", cells)
        assert len(of_parsers) == 2
        is_small = not name.startswith("64 KiB")
        for raw, parsed in [handed_on, *(of_parsers if is_small else [])]:
            assert float(parsed) > float(raw), name


@pytest.mark.skipif(os.name == "nt", reason="the two commands need make")
def test_make_knows_the_commands_of_the_readme() -> None:
    commands = set(re.findall(r"^make (\w+)", README.read_text("utf-8"), re.M))
    assert commands == {"demo", "test"}
    for command in commands:
        run = ["make", "--dry-run", "--no-print-directory", command]
        assert subprocess.run(run, cwd=ROOT, capture_output=True, check=False).returncode == 0
