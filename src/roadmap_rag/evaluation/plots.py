"""Small plots as SVG, written by hand: three kinds are needed, and a plotting library is larger than the rest of the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad")
_STYLE = "font-family='sans-serif' font-size='13'"


def bar_plot(title: str, bars: Sequence[tuple[str, float, float, float]]) -> str:
    """Horizontal bars from 0 to 1 as (label, value, low, high), the interval drawn over each."""
    left, width, step, top = 260, 420, 26, 50
    parts = [f"<text x='12' y='24' {_STYLE} font-weight='bold'>{escape(title)}</text>"]
    for number, (label, value, low, high) in enumerate(bars):
        y = top + number * step
        parts += [
            f"<text x='{left - 8}' y='{y + 13}' text-anchor='end' {_STYLE}>{escape(label)}</text>",
            f"<rect x='{left}' y='{y}' width='{value * width:.1f}' height='17' fill='{_COLOURS[0]}' fill-opacity='0.75'/>",
            f"<path d='M {left + low * width:.1f} {y + 8} H {left + high * width:.1f}' stroke='#222' stroke-width='2'/>",
            f"<text x='{left + width + 10}' y='{y + 13}' {_STYLE}>{value:.2f}</text>",
        ]
    return _document(left + width + 60, top + len(bars) * step + 16, parts)


def curve_plot(title: str, across: str, up: str, curves: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Curves of points in the unit square, each with its name in its colour."""
    left, top, size = 60, 50, 340
    parts = [
        f"<text x='12' y='24' {_STYLE} font-weight='bold'>{escape(title)}</text>",
        f"<rect x='{left}' y='{top}' width='{size}' height='{size}' fill='none' stroke='#888'/>",
        f"<text x='{left + size / 2}' y='{top + size + 34}' text-anchor='middle' {_STYLE}>{escape(across)}</text>",
        f"<text transform='translate({left - 36},{top + size / 2}) rotate(-90)' text-anchor='middle' {_STYLE}>{escape(up)}</text>",
    ]
    for mark in (0.0, 0.5, 1.0):
        parts.append(f"<text x='{left + mark * size}' y='{top + size + 16}' text-anchor='middle' {_STYLE}>{mark:.1f}</text>")
        parts.append(f"<text x='{left - 6}' y='{top + (1 - mark) * size + 4}' text-anchor='end' {_STYLE}>{mark:.1f}</text>")
    for number, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join(f"{left + x * size:.1f},{top + (1 - y) * size:.1f}" for x, y in points)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>")
        parts.append(f"<text x='{left + size + 14}' y='{top + 18 + number * 20}' fill='{colour}' {_STYLE}>{escape(name)}</text>")
    return _document(left + size + 160, top + size + 50, parts)


def trend_plot(title: str, lines: Mapping[str, Sequence[float | None]]) -> str:
    """Shares from 0 to 1 over the runs, in order, each line with its name in its colour; a run without a value is passed over."""
    left, top, width, height = 50, 50, 420, 220
    parts = [
        f"<text x='12' y='24' {_STYLE} font-weight='bold'>{escape(title)}</text>",
        f"<rect x='{left}' y='{top}' width='{width}' height='{height}' fill='none' stroke='#888'/>",
    ]
    marks = [(f"{mark:.1f}", top + (1 - mark) * height + 4) for mark in (0.0, 0.5, 1.0)]
    parts += [f"<text x='{left - 6}' y='{y}' text-anchor='end' {_STYLE}>{mark}</text>" for mark, y in marks]
    for number, (name, values) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        step = width / max(len(values) - 1, 1)
        points = [(left + place * step, top + (1 - value) * height) for place, value in enumerate(values) if value is not None]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='2'/>")
        parts += [f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3' fill='{colour}'/>" for x, y in points]
        parts.append(f"<text x='{left + width + 14}' y='{top + 18 + number * 20}' fill='{colour}' {_STYLE}>{escape(name)}</text>")
    return _document(left + width + 300, top + height + 30, parts)


def _document(width: float, height: float, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0f}' height='{height:.0f}' viewBox='0 0 {width:.0f} {height:.0f}'>\n"
        f"<rect width='100%' height='100%' fill='white'/>\n{body}\n</svg>\n"
    )
