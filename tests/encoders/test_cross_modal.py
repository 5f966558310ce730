"""Agreement of two modalities: the likelihood's ratio, detection and repair, without leaks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.cross_decomposition import CCA

from mmtutorial.encoders import cross_modal
from mmtutorial.encoders.cross_modal import (
    Agreement,
    best_threshold,
    cross_scores,
    detect,
    folds_of,
    own_scores,
    repair,
)


def pairs(n: int, noise: float, seed: int = 0, d: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    left = generator.normal(size=(n, d))
    return left, left @ generator.normal(size=(d, d + 1)) + noise * generator.normal(
        size=(n, d + 1)
    )


def test_the_score_is_the_ratio_of_the_likelihoods_of_the_fitted_normal_distribution() -> None:
    left, right = pairs(300, 1.0)
    joint = np.hstack([left, right])
    mean, cov = joint.mean(axis=0), np.cov(joint.T, bias=True)
    together = stats.multivariate_normal(mean, cov).logpdf(joint)
    apart = stats.multivariate_normal(mean[:4], cov[:4, :4]).logpdf(left)
    apart = apart + stats.multivariate_normal(mean[4:], cov[4:, 4:]).logpdf(right)
    model = Agreement.fit(left, right, shrinkage=0.0)
    np.testing.assert_allclose(model.score(left, right), together - apart, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(np.diag(model.scores(left, right)), model.score(left, right))


def test_the_correlations_are_those_of_scikit_learns_canonical_variables() -> None:
    left, right = pairs(300, 1.0)
    u, v = CCA(n_components=4, max_iter=5000, tol=1e-12).fit_transform(left, right)
    theirs = [np.corrcoef(u[:, each], v[:, each])[0, 1] for each in range(4)]
    model = Agreement.fit(left, right, shrinkage=0.0)
    np.testing.assert_allclose(model.correlations, sorted(theirs, reverse=True), atol=1e-3)


def test_shrinkage_is_chosen_on_rows_that_the_model_was_not_fitted_to() -> None:
    generator = np.random.default_rng(0)
    apart = Agreement.fit(generator.normal(size=(60, 20)), generator.normal(size=(60, 20)))
    together = Agreement.fit(*pairs(2000, 0.3))
    assert apart.shrinkage == max(cross_modal.SHRINKAGES)
    assert together.shrinkage == min(cross_modal.SHRINKAGES)


def test_no_item_is_scored_by_a_model_that_learnt_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = pairs(100, 0.5)
    left[:, 0] = np.arange(100)  # names the items
    learnt: list[set[int]] = []
    fit, scores, score = Agreement.fit, Agreement.scores, Agreement.score

    def watched(a: np.ndarray, b: np.ndarray, shrinkage: float | None = None) -> Agreement:
        learnt.append({int(each) for each in a[:, 0]})
        return fit(a, b, 0.5)

    def square(self: Agreement, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        # right rows are recognised by their place in the catalogue
        there = {int(np.flatnonzero((right == each).all(axis=1))[0]) for each in b}
        assert not learnt[-1] & ({int(each) for each in a[:, 0]} | there)
        return scores(self, a, b)

    def alone(self: Agreement, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        assert not learnt[-1] & {int(each) for each in a[:, 0]}
        return score(self, a, b)

    monkeypatch.setattr(Agreement, "fit", staticmethod(watched))
    monkeypatch.setattr(Agreement, "scores", square)
    monkeypatch.setattr(Agreement, "score", alone)
    folds = folds_of(100)
    both = cross_scores(left, right, np.arange(100), folds)
    np.testing.assert_allclose(np.diag(both), own_scores(left, right, folds))
    assert len(learnt) == 15 + 5


def test_the_best_threshold_does_not_depend_on_how_many_pairs_are_mispaired() -> None:
    generator = np.random.default_rng(0)
    true, wrong = generator.normal(2, 1, 40_000), generator.normal(-2, 1, 40_000)
    for share in (0.0, 0.5):
        mixed = np.where(generator.random(40_000) < share, generator.normal(-2, 1, 40_000), true)
        assert abs(best_threshold(mixed, wrong)) < 0.3


def test_mispaired_items_are_found_and_repaired_and_items_without_a_side_stay() -> None:
    left, right = pairs(400, 0.3)
    moved = np.arange(400)
    moved[50:110] = np.roll(moved[50:110], 1)
    given = right[moved]
    left[0], given[1] = 0, 0
    found = detect(left, given)
    wrong = (moved != np.arange(400))[found.rows]
    assert {0, 1} & {*found.rows} == set() and len(found.rows) == 398
    assert found.suspects[wrong].mean() > 0.9 and found.suspects[~wrong].mean() < 0.1
    order, _ = repair(left, given)
    assert sorted(order) == list(range(400)) and order[:2].tolist() == [0, 1]
    assert (moved == np.arange(400)).mean() == 0.85
    assert (moved[order] == np.arange(400)).mean() > 0.9
    alone, _ = repair(left, given, own=None)  # scores this good need no prior
    assert (moved[alone] == np.arange(400)).mean() > 0.95


def test_where_the_modalities_share_nothing_nothing_is_found() -> None:
    generator = np.random.default_rng(1)
    left, right = generator.normal(size=(500, 6)), generator.normal(size=(500, 6))
    found = detect(left, right)
    wrong = np.arange(500) < 250  # any half: all pairs are alike
    gap = found.suspects[wrong].mean() - found.suspects[~wrong].mean()
    assert abs(gap) < 0.15 and abs(found.scores.mean()) < 0.1


def test_without_agreement_a_prior_keeps_what_the_scores_alone_would_scatter() -> None:
    generator = np.random.default_rng(1)
    left, right = generator.normal(size=(300, 6)), generator.normal(size=(300, 6))
    kept = [(repair(left, right, own=own)[0] == np.arange(300)).mean() for own in (None, 0.5, 0.99)]
    assert kept[0] < kept[1] <= kept[2] and kept[2] > 0.95
    with pytest.raises(ValueError, match="above 0 and below 1"):
        repair(left, right, own=1.0)


def test_too_few_items_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        Agreement.fit(np.zeros((7, 2)), np.zeros((7, 2)))
