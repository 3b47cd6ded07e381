"""A graph in one look: relations, entity types, languages, and why places stayed unresolved, as bars.

Written once for the terminal and once as an SVG picture, from the counts of the graph's manifest alone.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.bar import Bar
from rich.columns import Columns
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

WIDTH = 110
_REASONS = 12


def render(summary: Mapping[str, Any], console: Console) -> None:
    """Print the summary."""
    console.print(_page(summary))


def picture(summary: Mapping[str, Any], path: Path) -> None:
    """Write the same as an SVG."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    render(summary, console)
    console.save_svg(str(path), title="knowledge graph", unique_id="corpus")


def counts(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of dimension, name and count - totals, languages, relations, types - as the contract `counts` wants them."""
    tables = {
        "total": {name: summary[name] for name in ("triples", "entities")},
        "language": summary["languages"],
        "relation": summary["relations"],
        "type": summary["types"],
    }
    return [
        {"dimension": dimension, "name": name, "count": count}
        for dimension, table in tables.items()
        for name, count in table.items()
    ]


def _page(summary: Mapping[str, Any]) -> Group:
    outside = summary["outside_entities"]
    head = Text.assemble(
        (f"{summary['triples']:,}", "bold"),
        " triples, ",
        (f"{summary['entities']:,}", "bold"),
        f" entities ({outside:,} of them outside), ",
        f"{len(summary['distributions']):,} distributions, {len(summary['inputs']):,} files",
    )
    languages = ", ".join(f"{name} {count:,}" for name, count in summary["languages"].items())
    skipped = ", ".join(f"{count:,} {reason}" for reason, count in summary["skipped"].items()) or "none"
    calls = summary["sites"].get("calls", 0)
    missed = summary["unresolved"].get("calls", {})
    resolved = 1 - sum(missed.values()) / calls if calls else 0.0
    tables = [
        _bars("relation", summary["relations"], "cyan"),
        _bars("entity type", summary["types"], "green"),
    ]
    reasons = _bars(
        f"calls: {resolved:.1%} of {calls:,} places resolved; the rest", dict(list(missed.items())[:_REASONS]), "yellow"
    )
    return Group(head, Text(f"triples by language: {languages}; files skipped: {skipped}"), Columns(tables), reasons)


def _bars(title: str, counts: Mapping[str, int], colour: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1))
    table.add_column(title, no_wrap=True)
    table.add_column("count", justify="right")
    table.add_column("", width=14)
    largest = max(counts.values(), default=1)
    for name, count in counts.items():
        table.add_row(name, f"{count:,}", Bar(largest, 0, count, width=14, color=colour))
    return table
