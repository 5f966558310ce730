"""What `mmtutorial reproduce` shows while it works: one live table, or plain lines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from mmtutorial.reproduce.notebooks import Notebook, Run
from mmtutorial.terminal import plain, say


class Board:
    """One live table in the terminal; plain lines where there is none."""

    columns = ("what", "data set", "state", "seconds", "peak memory (MiB)")

    def __init__(self, work: Sequence[Notebook], n_tasks: int, console: Console) -> None:
        self.console = console
        self.runs: dict[tuple[str, str], Run | None] = {(n.name, n.dataset): None for n in work}
        self.begun: dict[tuple[str, str], float] = {}
        self.tasks, self.n_tasks = 0, n_tasks
        self.live = Live(console=console, refresh_per_second=2, get_renderable=self._table)

    def __enter__(self) -> Board:
        """Show the table, in a terminal."""
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *fault: object) -> None:
        """Leave it there as it is."""
        if self.console.is_terminal:
            self.live.stop()

    def notebook(self, run: Run) -> None:
        """Tell of a notebook."""
        name = (run.notebook.name, run.notebook.dataset)
        self.begun.setdefault(name, time.monotonic())
        self.runs[name] = run
        if not self.console.is_terminal and run.state != "running":
            what = f"{run.notebook.name} on {run.notebook.dataset}: {run.state}"
            cost = f"{run.seconds:.0f} s, {run.peak_memory:.0f} MiB"
            say(f"{what}, {cost}", to=self.console)

    def experiment(self, done: int, of: int, task: Any) -> None:
        """Tell of the experiments."""
        self.tasks, self.n_tasks = done, of
        if not self.console.is_terminal and (done % 20 == 0 or done == of):
            say(f"experiments: {done} of {of}", to=self.console)

    def _table(self) -> Table:
        table = Table(*self.columns)
        for name, run in self.runs.items():
            if run is None:
                cells = ["waits"]
            elif run.state == "running":
                spent = time.monotonic() - self.begun[name]
                cells = [f"cell {run.cell} of {run.cells}", f"{spent:.0f}"]
            else:
                cells = [run.state, f"{run.seconds:.0f}", f"{run.peak_memory:.0f}"]
            table.add_row(*map(plain, (*name, *cells)))
        if self.n_tasks:
            table.add_row("experiments", "", f"{self.tasks} of {self.n_tasks}")
        return table
