"""Evaluation: splits of the interactions, metrics of the lists, and both put to work."""

from __future__ import annotations

from mmtutorial.evaluation.evaluate import Evaluation, compare, evaluate
from mmtutorial.evaluation.metrics import (
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
from mmtutorial.evaluation.splits import (
    Split,
    cold_items,
    cold_items_split,
    global_time_split,
    leave_last_out,
)

__all__ = [
    "Evaluation",
    "Split",
    "average_precision",
    "cold_items",
    "cold_items_split",
    "compare",
    "evaluate",
    "gini",
    "global_time_split",
    "hit_rate",
    "intra_list_diversity",
    "item_coverage",
    "leave_last_out",
    "ndcg",
    "novelty",
    "precision",
    "recall",
    "reciprocal_rank",
    "user_coverage",
]
