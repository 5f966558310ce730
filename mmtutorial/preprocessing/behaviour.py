"""Behaviour data: drop repetitions and chance visitors (article, section 3.2.1)."""

from __future__ import annotations

import numpy as np
import pandas as pd


def deduplicate(interactions: pd.DataFrame) -> pd.DataFrame:
    """Keep the first of each user's interactions with the same item.

    A second purchase of the same thing tells little about what to recommend next, and would put
    an item into the training period and the test period at once.

    Parameters
    ----------
    interactions : DataFrame
        Columns user, item, timestamp (NaN throughout where no times are known), in any order of
        rows; further columns are kept.

    Returns
    -------
    DataFrame
        Sorted by timestamp, user and item, with a new index. Of several at the same second, or
        without times, the one that stands first is kept.

    Raises
    ------
    ValueError
        If a column is missing.

    Examples
    --------
    >>> log = pd.DataFrame([("ann", "tea", 5), ("ann", "cup", 3), ("ann", "tea", 1)],
    ...                    columns=["user", "item", "timestamp"])
    >>> deduplicate(log)
      user item  timestamp
    0  ann  tea          1
    1  ann  cup          3
    """
    _require(interactions, "user", "item", "timestamp")
    return interactions.sort_values(
        ["timestamp", "user", "item"], kind="stable", ignore_index=True
    ).drop_duplicates(["user", "item"], ignore_index=True)


def k_core(interactions: pd.DataFrame, k_users: int = 5, k_items: int = 5) -> pd.DataFrame:
    """Keep the k-core: every user has at least k_users interactions, every item at least k_items.

    Dropping an item can leave a user with too few, and the other way round, so it is repeated
    until nothing changes. What remains is the largest such part, whatever the order of dropping
    (Seidman, "Network structure and minimum degree", Social Networks 5(3), 1983). Each round is
    one count over the interactions left. Compare `describe` before and after to see what went.

    Parameters
    ----------
    interactions : DataFrame
        Columns user and item; further columns are kept. Repetitions count: `deduplicate` first.
    k_users, k_items : int
        At least 1; 1 keeps all.

    Returns
    -------
    DataFrame
        The rows that are kept, in their order, with a new index.

    Raises
    ------
    ValueError
        If a column is missing, k is below 1, or nothing would be left.

    Examples
    --------
    >>> log = pd.DataFrame({"user": list("aabbc"), "item": list("xyxyz")})
    >>> k_core(log, k_users=2, k_items=2)["user"].tolist()
    ['a', 'a', 'b', 'b']
    """
    _require(interactions, "user", "item")
    for name, k in (("k_users", k_users), ("k_items", k_items)):
        if k < 1:
            raise ValueError(f"{name} is {k}; it must be at least 1, which keeps all")
    users = pd.factorize(interactions["user"])[0]
    items = pd.factorize(interactions["item"])[0]
    kept = np.arange(len(interactions))
    while True:
        enough = (np.bincount(users[kept])[users[kept]] >= k_users) & (
            np.bincount(items[kept])[items[kept]] >= k_items
        )
        if enough.all():
            break
        kept = kept[enough]
    if not len(kept) and len(interactions):
        raise ValueError(
            f"no interaction is left with k_users={k_users} and k_items={k_items}: "
            "ask for fewer per user or per item, or begin with more data"
        )
    return interactions.iloc[kept].reset_index(drop=True)


def describe(interactions: pd.DataFrame) -> pd.Series:
    """Count users, items and interactions, and the share of all pairs that occurs (density).

    >>> log = pd.DataFrame({"user": list("aab"), "item": list("xyx")})
    >>> describe(log).to_dict()
    {'users': 2.0, 'items': 2.0, 'interactions': 3.0, 'density': 0.75}
    """
    _require(interactions, "user", "item")
    users, items = interactions["user"].nunique(), interactions["item"].nunique()
    pairs = len(interactions.drop_duplicates(["user", "item"]))
    return pd.Series(
        {
            "users": users,
            "items": items,
            "interactions": len(interactions),
            "density": pairs / max(users * items, 1),
        },
        dtype=float,
    )


def _require(interactions: pd.DataFrame, *columns: str) -> None:
    missing = [column for column in columns if column not in interactions]
    if missing:
        raise ValueError(
            f"the interactions have no column {', '.join(missing)}; "
            f"they have {', '.join(map(str, interactions.columns))}: rename yours"
        )
