"""Choose a recommender's options on the validation part, the baselines' as carefully as ours."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.progress import track

from mmtutorial.evaluation.full_ranking import evaluate
from mmtutorial.evaluation.splits import Split
from mmtutorial.metrics import ACCURACY
from mmtutorial.recommenders.base import Recommender
from mmtutorial.recommenders.inputs import Features
from mmtutorial.storage.checkpoint import report_epochs
from mmtutorial.storage.files import expanded

if TYPE_CHECKING:
    import optuna

_PATIENCE = 5.0  # seconds; what takes longer shows its progress
_AT_RANDOM = 5  # trials, the given ones included, before the search learns from earlier ones
_BEFORE_PRUNING = 4, 20  # trials learnt to their end; epochs of every later one


@dataclass(frozen=True)
class Range:
    """An interval of values to search.

    Parameters
    ----------
    low, high : int or float
        Both ends belong to it; whole numbers are searched where both are.
    log : bool
        Whether factors count, not differences: for learning rates and penalties.

    Examples
    --------
    >>> Range(1e-4, 1e-2, log=True).high
    0.01
    """

    low: float
    high: float
    log: bool = False


Space = Mapping[str, Sequence[Any] | Range]


def tune(
    make: Callable[..., Recommender],
    space: Space,
    split: Split,
    features: Features | None = None,
    metric: str = "ndcg",
    k: int = 10,
    *,
    n_trials: int | None = None,
    first: Sequence[Mapping[str, Any]] = (),
    seed: int = 0,
    storage: str | Path | None = None,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Try options, and choose the best by the validation part alone.

    Every combination without ``n_trials``. With it, so many trials of a search that learns from
    the earlier ones (a tree-structured Parzen estimator, by Optuna); one that learns in epochs is
    pruned when its validation NDCG@10 is, after 20 epochs or more, below the median of the earlier
    ones at the same epoch.

    Parameters
    ----------
    make : callable
        Takes the options as keywords and returns a recommender that is not yet fitted: its class,
        or a function that fixes further options.
    space : mapping
        Option to the values to try, or, with ``n_trials``, to a `Range`.
    split : Split
        Its test part is never looked at.
    features : mapping, optional
        For ``fit``.
    metric : str
        An accuracy metric of `evaluate`: larger is better.
    k : int
        Length of the lists.
    n_trials : int, optional
        How many to try, pruned ones included; at most all combinations.
    first : sequence of mapping
        Options to begin a search with, such as the defaults.
    seed : int
        Of the search: the same trials each time, also where it was interrupted.
    storage : str or Path, optional
        An SQLite file that keeps finished trials: a search that was killed goes on with the next.
        It belongs to one search; name another file for another space, split or recommender.

    Returns
    -------
    best : dict
        The chosen options; the first where several are equally good.
    table : DataFrame
        One row a trial, in order: the options, then the validation means of all accuracy metrics,
        NaN where it was pruned.

    Raises
    ------
    ValueError
        If the metric is unknown, an option has no value to try, an option is named like a metric,
        a range is given without ``n_trials``, or ``first`` names a value outside the space.

    References
    ----------
    Ferrari Dacrema, Cremonesi and Jannach (2019), Are we really making much progress? A worrying
    analysis of recent neural recommendation approaches: most of the progress that they checked
    vanished beside baselines that somebody had tuned. Akiba et al. (2019), Optuna: A
    next-generation hyperparameter optimization framework.

    Examples
    --------
    >>> from mmtutorial.recommenders import ItemKNN
    >>> from mmtutorial.evaluation.splits import leave_last_out
    >>> from mmtutorial.interactions import Interactions
    >>> taken = [(user, item, time) for user, items in {"ann": "vwxyz", "bob": "vwxzy"}.items()
    ...          for time, item in enumerate(items)]
    >>> best, table = tune(ItemKNN, {"k": [1, 2]}, leave_last_out(Interactions.of(taken)), k=1)
    >>> best, table[["k", "ndcg"]].to_numpy().tolist()
    ({'k': 1}, [[1.0, 0.5], [2.0, 0.5]])
    """
    _check(space, metric, n_trials, first)
    plan, n_trials = _plan(space, n_trials, first)
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with closing(_Study(space, storage)) as study:
        for number in _watched(range(len(study.finished()), n_trials)):
            trial = study.ask(seed + number, plan[number] if number < len(plan) else {})
            options = study.options(trial.params)
            try:
                with report_epochs(functools.partial(_report, trial)):
                    recommender = make(**options).fit(split.train, features, split.validation)
            except optuna.TrialPruned:
                study.study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                continue
            found = evaluate(recommender, split, k=k, part="validation").per_user[list(ACCURACY)]
            trial.set_user_attr("found", {name: float(v) for name, v in found.mean().items()})
            study.study.tell(trial, float(found[metric].mean()))
        finished = study.finished()
        tried = [study.options(each.params) for each in finished]
    nothing = dict.fromkeys(ACCURACY, float("nan"))
    means = [each.user_attrs.get("found", nothing) for each in finished]
    table = pd.DataFrame([{**o, **m} for o, m in zip(tried, means, strict=True)])
    return tried[int(table[metric].argmax())], table


class _Study:
    """A search by Optuna whose trials depend on the seed and the finished trials alone.

    Choices are numbered: Optuna keeps no tuples or mappings.
    """

    def __init__(self, space: Space, storage: str | Path | None) -> None:
        import optuna

        self.space = space
        self.kept = None
        if storage is not None:
            path = expanded(storage)
            path.parent.mkdir(parents=True, exist_ok=True)
            self.kept = optuna.storages.RDBStorage(f"sqlite:///{path}")
        startup, warm = _BEFORE_PRUNING
        self.study = optuna.create_study(
            storage=self.kept, study_name="options", load_if_exists=True, direction="maximize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=startup, n_warmup_steps=warm),
        )  # fmt: skip
        for trial in self.study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):  # killed
            self.study.tell(trial.number, state=optuna.trial.TrialState.FAIL)

    def finished(self) -> list[optuna.trial.FrozenTrial]:
        """Return the trials that came to their end, in order."""
        import optuna

        done = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
        return self.study.get_trials(states=done)

    def ask(self, seed: int, given: Mapping[str, Any]) -> optuna.Trial:
        """Return the next trial, with the given options where there are any."""
        import optuna

        fixed = {name: self._numbered(name, value) for name, value in given.items()}
        waits = self.study.get_trials(states=(optuna.trial.TrialState.WAITING,))  # before a kill
        if fixed and not waits:
            self.study.enqueue_trial(fixed)
        self.study.sampler = optuna.samplers.TPESampler(n_startup_trials=_AT_RANDOM, seed=seed)
        return self.study.ask({name: _distribution(each) for name, each in self.space.items()})

    def options(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return what Optuna has numbered as options."""
        return {
            name: parameters[name] if isinstance(values, Range) else values[parameters[name]]
            for name, values in self.space.items()
        }

    def _numbered(self, name: str, value: Any) -> Any:
        values = self.space[name]
        return value if isinstance(values, Range) else list(values).index(value)

    def close(self) -> None:
        """Close the file."""
        if self.kept is not None:
            self.kept.remove_session()
            self.kept.engine.dispose()


def _check(
    space: Space, metric: str, n_trials: int | None, first: Sequence[Mapping[str, Any]]
) -> None:
    """Raise ValueError where that cannot be searched."""
    if metric not in ACCURACY:
        raise ValueError(f"metric is {metric!r}; choose by one of {', '.join(ACCURACY)}")
    for name, values in space.items():
        if name in ACCURACY:
            raise ValueError(f"the option {name!r} is named like a metric")
        if isinstance(values, Range):
            if n_trials is None:
                raise ValueError(f"{name} is a range: say by n_trials how many values to try")
        elif not len(values):
            raise ValueError(f"space[{name!r}] is empty: give at least one value to try")
    if n_trials is not None and n_trials < 1:
        raise ValueError(f"n_trials is {n_trials}; it must be at least 1")
    for each in first:
        for name, value in each.items():
            values = space.get(name, ())
            inside = (
                values.low <= value <= values.high if isinstance(values, Range) else value in values
            )
            if not inside:
                raise ValueError(f"{name} = {value!r}, to begin with, is outside of the space")


def _plan(
    space: Space, n_trials: int | None, first: Sequence[Mapping[str, Any]]
) -> tuple[Sequence[Mapping[str, Any]], int]:
    """Return the options that are tried without a search, and the number of all trials."""
    choices = [values for values in space.values() if not isinstance(values, Range)]
    if len(choices) == len(space):
        combinations: list[Mapping[str, Any]] = [
            dict(zip(space, each, strict=True)) for each in product(*choices)
        ]
        if n_trials is None or n_trials >= len(combinations):
            return combinations, len(combinations)
    return first, n_trials or len(first)


def _distribution(values: Sequence[Any] | Range) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if not isinstance(values, Range):
        return CategoricalDistribution(tuple(range(len(values))))
    whole = isinstance(values.low, int) and isinstance(values.high, int)
    if whole:
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(values.low, values.high, log=values.log)


def _report(trial: optuna.Trial, epoch: int, quality: float) -> None:
    """Pass an epoch's quality on; raises TrialPruned where going on is a waste."""
    import optuna

    trial.report(quality, epoch)
    if trial.should_prune():
        raise optuna.TrialPruned


def _watched(numbers: range) -> Iterator[int]:
    """Show progress if the first one tells that all will take long."""
    started = time.monotonic()
    yield from numbers[:1]
    if (time.monotonic() - started) * len(numbers[1:]) > _PATIENCE:
        yield from track(numbers[1:], description="Trying options", transient=True)
    else:
        yield from numbers[1:]
