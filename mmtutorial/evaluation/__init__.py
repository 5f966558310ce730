"""Evaluation: splits of the interactions, metrics of the lists, and both put to work."""

from __future__ import annotations

from mmtutorial.evaluation.full_ranking import Evaluation, compare, evaluate
from mmtutorial.evaluation.sampled import (
    relevant_ranks,
    sampled_hit_rate,
    sampled_ndcg,
    sampled_ranks,
)
from mmtutorial.evaluation.significance import (
    PairedComparison,
    compare_all,
    holm,
    paired_comparison,
    permutation_p,
)
from mmtutorial.evaluation.splits import (
    Split,
    cold_items,
    cold_items_split,
    default_split,
    given_split,
    global_time_split,
    leave_last_out,
    user_time_split,
    with_parts,
)
from mmtutorial.evaluation.tuning import Range, tune
from mmtutorial.metrics import (
    average_precision,
    gini,
    hit_rate,
    intra_list_diversity,
    item_coverage,
    ndcg,
    novelty,
    precision,
    recall,
    reciprocal_rank,
    user_coverage,
)

__all__ = [
    "Evaluation",
    "PairedComparison",
    "Range",
    "Split",
    "average_precision",
    "cold_items",
    "cold_items_split",
    "compare",
    "compare_all",
    "default_split",
    "evaluate",
    "gini",
    "given_split",
    "global_time_split",
    "hit_rate",
    "holm",
    "intra_list_diversity",
    "item_coverage",
    "leave_last_out",
    "ndcg",
    "novelty",
    "paired_comparison",
    "permutation_p",
    "precision",
    "recall",
    "reciprocal_rank",
    "relevant_ranks",
    "sampled_hit_rate",
    "sampled_ndcg",
    "sampled_ranks",
    "tune",
    "user_coverage",
    "user_time_split",
    "with_parts",
]
