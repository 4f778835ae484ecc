"""Plots of what was measured: `python -m benchmarks NAME … --json | python -m benchmarks.plots FOLDER`.

One SVG for each table that says what it cost: a row of bars, with the figures beside them.
"""

import sys
from html import escape
from pathlib import Path
from typing import Any

import orjson

_WIDTH, _LABELS, _BARS, _ROW = 720, 230, 390, 26
# Of each table: the columns that name a bar, and the one that is drawn.
_TABLES = {
    ("timeline", "cost"): (("database", "server"), "cpu_us_per_operation", "µs of processor per operation"),
    ("fanout", "one document"): (("subscribers", "what"), "us_per_message", "µs of processor per message"),
    ("playback", "cost"): (("asked", "way"), "cpu_us_per_request", "µs of processor per request"),
    ("mutation", "cost"): (
        ("database", "mutation", "server"),
        "cpu_us_per_operation",
        "µs of processor per mutation",
    ),
    ("held", "compiled"): (("read", "document"), "longest_ms", "longest hold of the event loop, ms"),
}


def bars(title: str, rows: list[tuple[str, float]]) -> str:
    """An SVG of bars from the left, each with its name and its value."""
    most = max(value for _, value in rows)
    height = _ROW * (len(rows) + 1) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}">',
        "<style>text { font: 13px sans-serif }</style>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="19" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (name, value) in enumerate(rows):
        top, long = _ROW * (number + 1) + 4, max(1, round(_BARS * value / most))
        colour = "#0b6" if "compiled" in name or "spaces" in name else "#89a"
        parts += [
            f'<text x="{_LABELS - 8}" y="{top + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LABELS}" y="{top}" width="{long}" height="20" fill="{colour}"/>',
            f'<text x="{_LABELS + long + 6}" y="{top + 15}">{value:,.6g}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def plot(results: dict[str, Any], folder: Path) -> list[Path]:
    """Draw every table that is known. The files made."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for (name, table), (labels, column, title) in _TABLES.items():
        measured = results.get(name, {}).get(table, [])
        rows = [
            (", ".join(str(row[label]) for label in labels), float(row[column]))
            for row in measured
            if row[column] is not None
        ]
        if rows:
            made.append(folder / f"{name}.svg")
            made[-1].write_text(bars(title, rows), encoding="utf-8")
    return made


if __name__ == "__main__":
    for path in plot(orjson.loads(sys.stdin.buffer.read()), Path(sys.argv[1])):
        print(path)
