"""The matrix of mutants on a terminal: a bar while it runs, then who killed whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from assay.mutants import Matrix


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yields `step(name, done, total)`, which moves a bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:32.32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("the honest project")

        def step(name: str, done: int, total: int) -> None:
            bar.update(task, description=name, completed=done, total=total)

        yield step


def render(matrix: Matrix) -> None:
    """Print every mutant, the false alarms, and the sum."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("mutant", "defect", "killed by"):
        table.add_column(name, overflow="fold")
    for row in matrix.mutants:
        told = Text(row.expected) if row.ok and not row.detail else Text(row.detail, style="" if row.ok else "bold red")
        table.add_row(Text(row.id), Text(row.defect), told)
    console.print(table)
    for alarm in matrix.false_alarms:
        console.print(Text(f"false alarm: {alarm}", style="bold red"))
    idle = sum(row.ok and not row.killed for row in matrix.mutants)
    killed, total = sum(row.ok for row in matrix.mutants) - idle, len(matrix.mutants) - idle
    console.print(
        f"{killed} of {total} mutants killed by the check named for them"
        f"{f', {idle} not applicable' if idle else ''}; "
        f"{len(matrix.false_alarms)} false alarms in {matrix.honest_runs} honest runs; {matrix.seconds:.0f} s"
    )
