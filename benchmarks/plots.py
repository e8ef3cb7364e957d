"""Draws the plots of the documentation from what the benchmarks wrote.

Run as ``python -m benchmarks.plots DECODER_JSON GROWTH_JSON TYPED_JSON [--directory DIRECTORY]``.

SVG on a transparent ground, in colours between light and dark: readable on either. The same numbers
give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

__all__ = ["INK", "decoder_figure", "growth_figure", "main", "save", "typed_figure"]

_DIRECTORY: Final = Path(__file__).parent.parent / "docs" / "explanation" / "plots"
INK: Final = "#8a8a8a"

# Colour and marker: what looks alike in one differs in the other.
_STYLES: Final[dict[str, tuple[str, str]]] = {
    "sse-proto (C)": ("#e4572e", "D"),
    "sse-proto (Python)": ("#2e86de", "o"),
    "httpx-sse": ("#3aa655", "s"),
    "httpxr.sse": ("#8e6fd8", "^"),
    "httpx2": ("#c79a00", "v"),
    "launchdarkly-eventsource": ("#d64f9c", "P"),
    "openai": ("#1aa6a6", "X"),
    "anthropic": ("#a9745b", "<"),
    "sseclient-py": ("#7f9c2b", ">"),
    "assel": ("#8a8a8a", "p"),
    "niquests": ("#5f7fd0", "*"),
}
_STREAM_COLOURS: Final = ("#e4572e", "#2e86de", "#3aa655")
_PARSER, _AGAINST, _OURS = INK, "#2e86de", "#e4572e"
# Shapes whose time for an event is far above that of the others.
_APART: Final = ("tiny", "huge_line")

_SETTINGS: Final[dict[str, Any]] = {
    "svg.hashsalt": "sse-proto",  # else identifiers are random
    "svg.fonttype": "none",  # text stays text, in the reader's font
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the plots; return 0, also where there is nothing to draw with."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots")
    parser.add_argument("decoder", type=Path, help="from bench_decoder --json")
    parser.add_argument("growth", type=Path, help="from bench_growth --json")
    parser.add_argument("typed", type=Path, help="from bench_typed --json")
    parser.add_argument("--directory", type=Path, default=_DIRECTORY)
    options = parser.parse_args(arguments)
    try:
        import_module("matplotlib")
    except ImportError as error:
        print(f"no plots: {error}")
        return 0
    options.directory.mkdir(parents=True, exist_ok=True)
    figures = {"decoder": decoder_figure, "growth": growth_figure, "typed": typed_figure}
    for name, draw in figures.items():
        report = json.loads(getattr(options, name).read_text("utf-8"))
        path = options.directory / f"{name}.svg"
        save(path, partial(draw, report))
        print(path.name)
    return 0


def save(path: Path, draw: Callable[[], Any]) -> None:
    """Draw a figure in the style of all plots, and write it as SVG, the same each time."""
    matplotlib: Any = import_module("matplotlib")
    matplotlib.use("svg")
    with matplotlib.rc_context(_SETTINGS):
        draw().savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
    lines = path.read_text("utf-8").splitlines()
    path.write_text("".join(line.rstrip() + "\n" for line in lines), encoding="utf-8")


def decoder_figure(report: dict[str, Any]) -> Any:
    """Draw the time for an event, by shape, of each decoder."""
    results = report["results"]
    rows = list(dict.fromkeys(_row(result) for result in results))
    apart = [row for row in rows if row.startswith(_APART)]
    parts = [part for part in ([row for row in rows if row not in apart], apart) if part]

    pyplot: Any = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(
        len(parts),
        figsize=(9, 1.7 + 0.36 * len(rows)),
        height_ratios=[len(part) + 0.5 for part in parts],
        squeeze=False,
        layout="constrained",
    )
    handles: dict[str, Any] = {}
    for axis, part in zip(axes[:, 0], parts, strict=True):
        for peer, (colour, marker) in reversed(_STYLES.items()):
            own = [result for result in results if result["peer"] == peer and _row(result) in part]
            if own:
                handles[peer] = axis.scatter(
                    [result["best"] / result["events"] for result in own],
                    [part.index(_row(result)) for result in own],
                    s=75 if own[0]["is_ours"] else 32,
                    color=colour,
                    marker=marker,
                    alpha=1 if own[0]["is_ours"] else 0.85,
                    linewidths=0,
                    zorder=4 if own[0]["is_ours"] else 3,
                )
        _label(axis, pyplot)
        axis.set_yticks(range(len(part)), part)
        axis.set_ylim(len(part) - 0.4, -0.6)
        axis.tick_params(axis="y", length=0)
    axes[-1, 0].set_xlabel("time for an event, best (logarithmic; left is faster)")
    order = [name for name in _STYLES if name in handles]
    figure.legend([handles[name] for name in order], order, loc="outside upper center", ncols=4)
    return figure


def _row(result: dict[str, Any]) -> str:
    return f"{result['shape']}, {result['chunking']}"


def _label(axis: Any, pyplot: Any) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(pyplot.FuncFormatter(_duration))
    axis.grid(visible=True)


def _duration(nanoseconds: float, _position: int | None = None) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:g} {unit}"
    return f"{nanoseconds:g} ns"


def _size(size: float, _position: int | None = None) -> str:
    for unit, least in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= least:
            return f"{size / least:g} {unit}"
    return f"{size:g} B"


def growth_figure(report: dict[str, Any]) -> Any:
    """Draw the time against the size of a stream, and against that of its chunks."""
    pyplot: Any = import_module("matplotlib.pyplot")
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 4.4), layout="constrained")
    streams = list(dict.fromkeys(curve["stream"] for curve in report["curves"]))
    handles: dict[str, Any] = {}
    for curve in report["curves"]:
        by_size = curve["by"] == "size"
        xs: list[int] = curve["x"]
        ys = [y * x for x, y in zip(xs, curve["y"], strict=True)] if by_size else curve["y"]
        label = f"{curve['stream']}, {curve['twin']}"
        (handles[label],) = (left if by_size else right).plot(
            xs,
            ys,
            color=_STREAM_COLOURS[streams.index(curve["stream"])],
            linestyle="-" if curve["twin"] == "C" else "--",
            marker="D" if curve["twin"] == "C" else "o",
            markersize=4,
            linewidth=1.6,
        )
    for axis in (left, right):
        axis.set_xscale("log", base=2)
        _label(axis, pyplot)
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.xaxis.set_major_formatter(pyplot.FuncFormatter(_size))
        axis.yaxis.set_major_formatter(pyplot.FuncFormatter(_duration))
        # Steps of 16: more do not fit.
        axis.xaxis.set_major_locator(_steps(pyplot, axis is left))
        axis.minorticks_off()
    left.set(xlabel="size of the stream, in 16 KiB chunks", title="time for the stream")
    right.set(xlabel="size of a chunk", title="time for a byte")

    # The slope of twice the time for twice the size.
    sizes = next(curve["x"] for curve in report["curves"] if curve["by"] == "size")
    low = min(
        y * x
        for c in report["curves"]
        if c["by"] == "size"
        for x, y in zip(c["x"], c["y"], strict=True)
    )
    (handles["proportional to size"],) = left.plot(
        [sizes[0], sizes[-1]],
        [low / 2, low / 2 * sizes[-1] / sizes[0]],
        color=INK,
        linestyle=":",
        linewidth=1.2,
    )
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    return figure


def typed_figure(report: dict[str, Any]) -> Any:
    """Draw the time of each way to a value below that of another, and the parser's part of it."""
    # Where the parser's part is not known, what is compared are whole clients: another scale.
    parts: list[list[dict[str, Any]]] = [[], []]
    for ratio in report["ratios"]:
        parts[ratio["parser"] is None].append(ratio)
    parts = [part for part in parts if part]

    pyplot: Any = import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(
        len(parts),
        figsize=(9, 1.4 + 0.5 * len(report["ratios"])),
        height_ratios=[len(part) for part in parts],
        squeeze=False,
        layout="constrained",
    )
    handles: dict[str, Any] = {}
    for axis, part in zip(axes[:, 0], parts, strict=True):
        labels: dict[float, str] = {}
        for row, ratio in enumerate(part):
            ours = f"{ratio['decoder']}: {ratio['chain']}"
            faster = f", {ratio['time_against'] / ratio['time']:.2f}x"
            for y, label, suffix, colour, note in (
                (row - 0.19, ratio["against"], "_against", _AGAINST, ""),
                (row + 0.19, ours, "", _OURS, faster),
            ):
                time, parser = ratio[f"time{suffix}"], ratio[f"parser{suffix}"] or 0
                name = "the rest, ours" if y > row else "the rest, of what it is compared with"
                handles["the parser alone"] = axis.barh(y, parser, 0.34, color=_PARSER)
                handles[name] = axis.barh(y, time - parser, 0.34, left=parser, color=colour)
                axis.annotate(
                    _duration(float(f"{time:.3g}")) + note,
                    (time, y),
                    xytext=(4, 0),
                    textcoords="offset points",
                    verticalalignment="center",
                    fontsize=8,
                )
                labels[y] = label
        axis.set_yticks(list(labels), labels.values(), fontsize=8)
        axis.set_ylim(len(part) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        axis.margins(x=0.15)
        axis.xaxis.set_major_formatter(pyplot.FuncFormatter(_duration))
        axis.grid(visible=True, axis="x")
    axes[-1, 0].set_xlabel("time for an event, best")
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=3)
    return figure


def _steps(pyplot: Any, by_four: bool) -> Any:
    return pyplot.LogLocator(base=4 if by_four else 16, numticks=12)


if __name__ == "__main__":
    sys.exit(main())
