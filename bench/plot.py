"""Draws a benchmark's figures as SVG that is legible on a light and on a dark page. Bars and lines, nothing more."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["bars", "lines"]

_WIDTH: Final = 720
_LEFT: Final = 70  # pixels: where the axis stands in a plot of lines
_BAR: Final = 20
_STYLE: Final = (
    "<style>text{font:13px system-ui,sans-serif;fill:#1f2328}.t{font-weight:600;font-size:15px}"
    ".n{fill:#59636e;font-size:12px}.a{stroke:#59636e;fill:none}.g{stroke:#d1d9e0;fill:none}"
    ".c0{fill:#0969da}.c1{fill:#bc4c00}.c2{fill:#8c959f}.l0{stroke:#0969da}.l1{stroke:#bc4c00}"
    ".l0,.l1{fill:none;stroke-width:2}"
    "@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.n{fill:#9198a1}.a{stroke:#9198a1}.g{stroke:#3d444d}"
    ".c0{fill:#4493f8}.c1{fill:#f0883e}.c2{fill:#656c76}.l0{stroke:#4493f8}.l1{stroke:#f0883e}}</style>"
)


def bars(path: Path, title: str, unit: str, rows: Sequence[tuple[str, float, int]], note: str = "") -> None:
    """Draw one horizontal bar for each row: name, value in ``unit``, colour (0 ours, 1 peer, 2 something else)."""
    name_width = 8 + max(7 * len(name) for name, _, _ in rows)
    room = _WIDTH - name_width - 90
    greatest = max(value for _, value, _ in rows)
    parts = []
    y = 60
    for name, value, colour in rows:
        length = value / greatest * room
        parts.append(_text(name_width - 8, y + 15, name, anchor="end"))
        parts.append(f'<rect class="c{colour}" x="{name_width}" y="{y}" width="{length:.1f}" height="{_BAR}"/>')
        parts.append(_text(name_width + length + 6, y + 15, _short(value)))
        y += _BAR + 8
    parts.append(f'<path class="a" d="M{name_width} 52V{y}"/>')
    _write(path, (title, unit, note), parts, y + 10)


def lines(
    path: Path, title: str, axes: tuple[str, str], series: Mapping[str, Sequence[tuple[float, float]]], note: str = ""
) -> None:
    """Draw curves over a logarithmic axis; ``axes`` are what x and y show, each with its unit."""
    xs = sorted({x for points in series.values() for x, _ in points})
    top = _round_up(max(y for points in series.values() for _, y in points))
    height, right = 240, _WIDTH - 110
    low, high = math.log10(xs[0]), math.log10(xs[-1])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / (high - low)
        return _LEFT + across * (right - _LEFT), 60 + height * (1 - y / top)

    parts = []
    for step in range(5):
        value = top * step / 4
        y = at(xs[0], value)[1]
        parts.append(
            f'<path class="g" d="M{_LEFT} {y:.1f}H{right}"/>' + _text(_LEFT - 8, y + 4, _short(value), anchor="end")
        )
    for x in xs:
        parts.append(_text(at(x, 0)[0], 60 + height + 18, f"{x:,.0f}", anchor="middle"))
    for colour, (name, points) in enumerate(series.items()):
        places = [at(x, y) for x, y in points]
        parts.append(f'<polyline class="l{colour}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>')
        parts += [f'<circle class="c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
        parts.append(_text(places[-1][0] + 8, places[-1][1] + 4, name))
    parts.append(f'<path class="a" d="M{_LEFT} 60V{60 + height}H{right}"/>')
    parts.append(_text((_LEFT + right) / 2, 60 + height + 38, axes[0], anchor="middle", kind="n"))
    _write(path, (title, axes[1], note), parts, 60 + height + 48)


def _write(path: Path, words: tuple[str, str, str], parts: Sequence[str], height: float) -> None:
    """Put title, unit and note around the parts of a plot that is ``height`` pixels tall without its note."""
    title, unit, note = words
    tall = height + (22 if note else 4)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {tall:.0f}" role="img" '
        f'aria-label="{escape(title)}">{_STYLE}'
    )
    around = [_text(8, 22, title, kind="t"), _text(8, 42, unit, kind="n")]
    if note:
        around.append(_text(8, height + 12, note, kind="n"))
    path.write_text("\n".join([head, *around, *parts, "</svg>", ""]))


def _text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _short(value: float) -> str:
    """Write a value with three digits that count."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def _round_up(value: float) -> float:
    """Give the next of 1, 2, 4, 6, 8 or 10 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)
