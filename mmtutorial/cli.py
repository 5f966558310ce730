"""The command line: `mmtutorial data`, `check`, `recommend` and `reproduce`."""

from __future__ import annotations

import contextlib
import difflib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from mmtutorial.terminal import escape_what_cannot_be_shown, say

if TYPE_CHECKING:
    from mmtutorial.datasets import Dataset
    from mmtutorial.interactions import Interactions
    from mmtutorial.preprocessing.features import Fitted
    from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features

NAMES = "shop, garments, lastfm, films, videos"  # the names of datasets.MAKERS, not imported here
NEW = "new"  # --user: somebody of whom nothing is known
RECOMMENDERS: dict[str, tuple[str, dict[str, Any]]] = {  # name: class, options
    "two-tower": ("TwoTower", {}),
    "two-tower-ids": ("TwoTower", {"ids": True}),
    "popularity": ("Popularity", {}),
    "item-knn": ("ItemKNN", {}),
    "content-knn": ("ContentKNN", {}),
    "ease": ("EASE", {}),
}


class Commands(TyperGroup):
    """The commands; what they print is shown in every terminal and pipe."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run a command, or print what is wrong with its arguments."""
        escape_what_cannot_be_shown()
        return super().main(*arguments, **options)


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
console = Console()


@app.callback()
def main() -> None:
    """Multimodal recommendation: learn it, run it, check it."""


@app.command()
def data(
    name: Annotated[
        str,
        typer.Argument(help=f"{NAMES}, amazon-reviews, mmrec-published or microlens"),
    ],
    out: Annotated[Path, typer.Option(help="the folder to write; made if it does not exist")],
    seed: Annotated[int, typer.Option(help="one seed in, the same data out")] = 0,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="an option of that data set, such as likes=4; repeatable"),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="replace a data set that lies in that folder")
    ] = False,
) -> None:
    """Write a data set as a folder to look at: tables, pictures and sounds."""
    from mmtutorial import datasets
    from mmtutorial.datasets.contents import check_place
    from mmtutorial.storage.files import expanded, recover

    out = expanded(out)
    with _in_words():
        recover(out)
        check_place(out.resolve(), replace=replace, how="--replace")  # before it is made
        given = _options(options or [])
        if seed or name in {**datasets.MAKERS, **datasets.PUBLIC}:  # a folder takes no seed
            given = {"seed": seed, **given}
        _print(f"Making {name}, or taking it from the cache")
        made = datasets.load(name, **given)
        _print(f"Writing {out}")
        made.save(out, replace=replace)
    _print(
        f"{out}: {made.n_items} items, {made.n_users} users, {len(made.interactions)} interactions"
    )


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="a folder with a dataset.json")]) -> None:
    """Print everything that is wrong with a data set's folder, and what to do about it.

    What is not wrong and still limits what can be told from the data is printed as a note. The
    exit status is 1 where something is wrong, 0 where there are notes alone.
    """
    from mmtutorial.datasets import Dataset, DatasetError, validate_folder
    from mmtutorial.evaluation.readiness import limitations

    with _in_words():
        found = validate_folder(folder)
        faults = [fault for fault in found if not fault.note]
        notes = [fault for fault in found if fault.note]
        with (
            contextlib.suppress(DatasetError, PermissionError),
            warnings.catch_warnings(action="ignore"),
        ):
            notes += limitations(Dataset.open(folder))  # if it cannot be opened, the faults say why
    for fault in (*faults, *notes):
        _print(str(fault))
    counts = [_count(faults, "fault") if faults else "no fault found"]
    counts += [_count(notes, "note")] if notes else []
    _print(f"{folder}: {', '.join(counts)}")
    raise typer.Exit(bool(faults))


@app.command()
def recommend(
    dataset: Annotated[str, typer.Option(help=f"{NAMES}, or a folder")],
    user: Annotated[str, typer.Option(help=f"an id of interactions.csv, or {NEW!r}")],
    k: Annotated[int, typer.Option("-k", "--k", help="how many items")] = 10,
    seed: Annotated[int, typer.Option(help="one seed in, the same list out")] = 0,
    recommender: Annotated[str, typer.Option(help=", ".join(RECOMMENDERS))] = "two-tower",
    explain: Annotated[
        bool, typer.Option("--explain", help="which modality, word, region and moment decided")
    ] = False,
    html: Annotated[
        Path | None, typer.Option(help="write that as a page, which needs no network")
    ] = None,
) -> None:
    """Recommend items to a user, with reasons.

    The first call learns and keeps the recommender in the cache; later calls load it. A user of
    whom nothing is known, NEW, gets what is best for everybody.
    """
    with _in_words():
        lines = _recommended(dataset, user, k, seed, recommender, explain=explain, html=html)
    for line in lines:
        _print(line)


@app.command()
def reproduce(
    dataset: Annotated[
        list[str] | None,
        typer.Option(help=f"{NAMES}, or a folder; repeatable"),
    ] = None,
    profile: Annotated[str, typer.Option(help="quick, or full")] = "quick",
    seeds: Annotated[int, typer.Option(help="seeds of the experiments")] = 1,
    out: Annotated[Path, typer.Option(help="where everything goes, and is kept")] = Path("out"),
    only: Annotated[
        list[str] | None,
        typer.Option(help="a pattern of notebooks' and experiments' names; repeatable"),
    ] = None,
    jobs: Annotated[int, typer.Option(help="how much runs at a time")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="a Dask scheduler, tcp://…")] = None,
    root: Annotated[Path, typer.Option(help="the clone with the notebooks")] = Path("."),
    into: Annotated[Path | None, typer.Option(help="renew the results in this folder")] = None,
    tune: Annotated[bool, typer.Option(help="first search all options anew, for full")] = False,
    trials: Annotated[int, typer.Option(help="of each arm, with --tune")] = 12,
    memory: Annotated[float | None, typer.Option(help="MiB that no notebook may exceed")] = None,
    bands: Annotated[Path | None, typer.Option(help="hold key measures against this file")] = None,
    renew_bands: Annotated[bool, typer.Option(help="write that file anew instead")] = False,
) -> None:
    """Run every notebook and experiment, and end with a report on the article's claims.

    What an earlier run has finished is kept; interrupt it whenever you like, and go on later.
    """
    with _in_words():
        from mmtutorial.reproduce import run

        results, faults = run.reproduce(
            dataset or ["shop"], profile=profile, n_seeds=seeds, out=out, only=only or ["*"],
            jobs=jobs, scheduler=scheduler, root=root, into=into,
            trials=trials if tune else None, memory=memory, console=console,
        )  # fmt: skip
        if bands and renew_bands:
            run.write_bands(results, bands)
        elif bands:
            faults += run.check_bands(results, bands)
    for text in faults:
        _print(text, style="red")
    raise typer.Exit(bool(faults))


def _print(text: str, style: str = "") -> None:
    """Print on standard output, names and paths as they are."""
    say(text, to=console, style=style)


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Print each note on standard error; what cannot be done is said and ends in status 1."""
    from mmtutorial.datasets import DatasetNote

    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **to: Any) -> None:
            if issubclass(category, DatasetNote):
                say(str(message), style="yellow")
            else:
                usual(message, category, *where, **to)

        warnings.showwarning = show
        warnings.simplefilter("always", DatasetNote)
        try:
            yield
        except (ValueError, OSError, ImportError) as fault:  # a DatasetError is a ValueError
            _print(str(fault), style="red")
            raise typer.Exit(1) from fault


def _count(things: list[Any], name: str) -> str:
    """Count in words.

    >>> _count([1, 2], "note")
    '2 notes'
    """
    return f"{len(things):,} {name}{'' if len(things) == 1 else 's'}"


def _options(given: list[str]) -> dict[str, Any]:
    """Read options such as images=500, edition=100k or covers=true.

    >>> _options(["images=500", "edition=100k", "covers=true"])
    {'images': 500, 'edition': '100k', 'covers': True}
    """
    options: dict[str, Any] = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not (name.isidentifier() and equals):
            raise ValueError(f"--set {each!r} is no option: write it as in --set images=500")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def _recommended(
    dataset: str,
    user: str,
    k: int,
    seed: int,
    recommender: str,
    *,
    explain: bool,
    html: Path | None,
) -> list[str]:
    """Return what to print, or raise a ValueError that says what is wrong with the request."""
    import numpy as np

    from mmtutorial import datasets
    from mmtutorial.datasets.schema import normal_form
    from mmtutorial.interactions import Interactions
    from mmtutorial.preprocessing.behaviour import deduplicate
    from mmtutorial.recommenders.ranking import top_k

    if recommender not in RECOMMENDERS:
        raise ValueError(
            f"recommender is {recommender!r}{_closest(recommender, RECOMMENDERS)}; "
            f"there are {', '.join(RECOMMENDERS)}"
        )
    if (explain or html) and RECOMMENDERS[recommender][0] != "TwoTower":
        raise ValueError(f"{recommender} reads no media: --explain and --html need two-tower")
    if k < 1:
        raise ValueError(f"k is {k}; a list has at least one place")
    options = {"seed": seed} if dataset in datasets.MAKERS else {}
    data = datasets.load(dataset, **options)
    users = data.users.tolist()
    known = normal_form(user)
    if user != NEW and known not in users:
        raise ValueError(
            f"{data.name} has no user {user!r}{_closest(user, users)}; its {len(users):,} "
            f"users are in interactions.csv, such as {users[0]!r}, and {NEW!r} stands for "
            "somebody of whom nothing is known"
        )
    if k > data.n_items:
        raise ValueError(f"k is {k}, and {data.name} has {data.n_items} items: ask for fewer")
    users += [] if NEW in users else [NEW]  # has no history
    taken = Interactions.of(deduplicate(data.interactions), users=users, items=data.items["item"])
    learnt, fitted = _learnt(data, taken, recommender, seed)
    row = users.index(known)
    mine = taken.log["user"].to_numpy() == row
    history = list(dict.fromkeys(taken.log["item"].to_numpy()[mine].tolist()))
    read = getattr(learnt, "score_histories", None)  # also what was taken since it learnt
    scores = read([history]) if read else learnt.score(np.array([row]))
    ranked = top_k(scores, k, exclude=taken.matrix[[row]])[0]
    listed = ranked[ranked >= 0].tolist()
    lines = _listed(data, user, history, listed, k, learnt, fitted.features)
    return lines + _explained(data, user, history, listed, learnt, fitted, explain, html)


def _closest(name: str, known: Any) -> str:
    """Suggest what was perhaps meant."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _learnt(data: Dataset, taken: Interactions, name: str, seed: int) -> tuple[Recommender, Fitted]:
    """Take the recommender from the cache, or let it learn and keep it there.

    The two towers stop by a validation part and learn from what was taken before it, the baselines
    from everything.
    """
    from mmtutorial import recommenders
    from mmtutorial.evaluation import cold_items, default_split
    from mmtutorial.preprocessing.features import fitted_features
    from mmtutorial.recommenders.kept import fit_once

    kind, options = RECOMMENDERS[name]
    split = default_split(data)
    fitted = fitted_features(data, ~cold_items(split))
    for fault in fitted.faults:
        _print(str(fault), style="yellow")

    def announce(place: Path) -> None:
        _print(f"Learning {name} from {data.name}, once; kept in {place}")

    make = getattr(recommenders, kind)
    if kind == "TwoTower":
        tower = make(seed=seed, **options)
        return fit_once(tower, split.train, fitted.features, split.validation, announce), fitted
    return fit_once(make(**options), taken, fitted.features, announce=announce), fitted


def _listed(
    data: Dataset,
    user: str,
    history: list[int],
    ranked: list[int],
    k: int,
    learnt: Recommender,
    features: Features,
) -> list[str]:
    """Write the list in words."""
    from mmtutorial.recommenders import Popularity
    from mmtutorial.recommenders.explain import reasons

    titles = data.items["title"].tolist()
    if history:
        some = ", ".join(titles[row] for row in history[:-6:-1])
        which = "the last ones" if data.interactions["timestamp"].notna().all() else "among them"
        lines = [f"{user} took {_count(history, 'item')}, {which}: {some}"]
    else:
        lines = ["Nothing is known of this user: the list is what is best for everybody."]
    if isinstance(learnt, Popularity):
        why = ["many like it"] * len(ranked)
    else:
        why = [each.sentence(titles) for each in reasons(learnt, history, ranked, features)]
    widest = max((len(titles[row]) for row in ranked), default=0)
    lines += [
        f"{place:3d}  {titles[row]:{widest}}  {reason}"
        for place, (row, reason) in enumerate(zip(ranked, why, strict=True), start=1)
    ]
    if len(ranked) < k:
        lines.append(f"{user} has all other items: there are no more to recommend.")
    return lines


def _explained(
    data: Dataset,
    user: str,
    history: list[int],
    listed: list[int],
    learnt: Any,
    fitted: Fitted,
    explain: bool,
    html: Path | None,
) -> list[str]:
    """Explain the list in lines, on a page, or not at all."""
    if not (explain or html):
        return []
    from mmtutorial import explanations
    from mmtutorial.recommenders.explain_truth import how_often
    from mmtutorial.storage.files import expanded, write_whole

    found = explanations.explain(learnt, history, listed, fitted)
    note = how_often(learnt, fitted.features, data.truth)
    lines = []
    for place, each in enumerate(found if explain else [], start=1):
        lines += [f"{place:3d}  {line}" for line in explanations.in_lines(each)]
    lines.append(note)
    if html:
        path = expanded(html)
        text = explanations.page(data, user, found, fitted, note)
        if path.exists() and b"<title>Recommended to" not in path.read_bytes()[:200]:
            raise ValueError(f"{path} is no page of recommendations: name another file")
        write_whole(path, text.encode())
        lines.append(f"{path}: the page")
    return lines


if __name__ == "__main__":
    app()
