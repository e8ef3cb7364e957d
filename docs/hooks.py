"""What MkDocs does beside its plugins: mends what holds in the repository, but not on the site."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from posixpath import join, normpath
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent

# Its warnings end a strict build.
_logger: Final = logging.getLogger("mkdocs.hooks")

_ROW: Final = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)
# What mkdocstrings shows under the pointer: a name with the module that defines it.
_TITLE: Final = re.compile(r' title="[^"]*\bsse_\w+\._[^"]*"')
_PRIVATE: Final = re.compile(r"\bsse_\w+\._\w+")
_LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Put the changelog in its place; take links away that lead out of the folder `docs`.

    On the reference pages, the names in the first table become links to their entries.
    """
    source: str = page.file.src_uri
    if source == "changelog.md":
        markdown = (ROOT / "CHANGELOG.md").read_text("utf-8").replace("](docs/", "](")

    if source.startswith("reference/"):
        package = Path(source).stem
        markdown = _ROW.sub(rf"| [`\1`][{package}.\1] |", markdown)

    def text_alone(link: re.Match[str]) -> str:
        text, target = link.groups()
        folder = source.rpartition("/")[0]
        leads_out = "://" not in target and normpath(join(folder, target)).startswith("..")
        return text if leads_out else link[0]

    return _LINK.sub(text_alone, markdown)


def on_post_build(*, config: Any, **_: Any) -> None:
    """Put llms.txt at the top of the site, with links to its pages."""
    text = (ROOT / "llms.txt").read_text("utf-8").replace("](docs/index.md)", "](./)")
    text = re.sub(r"\]\(docs/(.+?)\.md\)", r"](\1/)", text)
    (Path(config.site_dir) / "llms.txt").write_text(text, "utf-8")


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Leave out where a name is defined: it is private, and may change. Nothing else may say it."""
    output = _TITLE.sub("", output)
    if page.file.src_uri.startswith("reference/"):
        for path in sorted(set(_PRIVATE.findall(output))):
            _logger.warning("%s shows what is private: %s", page.file.src_uri, path)
    return output
