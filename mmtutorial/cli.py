"""The command line: `mmtutorial data NAME --out DIR` and `mmtutorial check FOLDER`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console()


@app.callback()
def main() -> None:
    """Multimodal recommendation: learn it, run it, check it."""


@app.command()
def data(
    name: Annotated[str, typer.Argument(help="shop, garments or lastfm")],
    out: Annotated[Path, typer.Option(help="the folder to write; made if it does not exist")],
    seed: Annotated[int, typer.Option(help="one seed in, the same data out")] = 0,
) -> None:
    """Write a data set as a folder to look at: tables, pictures and sounds."""
    from mmtutorial import datasets

    try:
        console.print(f"Making {name}, or taking it from the cache", soft_wrap=True)
        made = datasets.load(name, seed=seed)
        console.print(f"Writing {out}", soft_wrap=True)
        made.save(out)
    except (datasets.DatasetError, ValueError, OSError) as fault:
        console.print(str(fault), style="red", soft_wrap=True, markup=False, highlight=False)
        raise typer.Exit(1) from fault
    console.print(
        f"{out}: {made.n_items} items, {made.n_users} users, {len(made.interactions)} interactions",
        soft_wrap=True,
    )


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="a folder with a dataset.json")]) -> None:
    """Print everything that is wrong with a data set's folder, and what to do about it."""
    from mmtutorial.datasets import validate_folder

    faults = validate_folder(folder)
    for fault in faults:
        console.print(str(fault), soft_wrap=True, markup=False, highlight=False)
    found = f"{len(faults)} faults" if faults else "no fault found"
    console.print(f"{folder}: {found}", soft_wrap=True)
    raise typer.Exit(bool(faults))


if __name__ == "__main__":
    app()
