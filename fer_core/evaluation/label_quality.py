"""Is it the network or the label? Errors compared with people's votes for each image.

FER2013's labels come from a web search and one check; FER+ (Barsoum et al. 2016, arXiv 1608.01041) asked ten people for
each image. Its votes are shipped with the program (MIT licence, `ferplus-votes.LICENSE`) and joined by the image's content;
those of any other set are read from a csv.

The rule that divides errors is FER+'s own majority: single votes are dropped, and a choice wins with more than half of
what is left.

- network wrong: the voters' majority is the given label;
- label contested: there is no majority;
- label probably wrong: the majority is another choice (an expression, “unknown” or “no face”). Whether the network's
  answer is that choice is counted apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.datasets.identity import HASH, fer2013_rows, same_images
from fer_core.datasets.votes import CHOICES, have_votes, majority, read_votes, rows_of_votes, shipped_votes
from fer_core.errors import DataError
from fer_core.evaluation.intervals import Interval, wilson, wilson_bounds
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import canonical
from fer_core.untrusted import bounded_file

VERDICTS = ("network wrong", "label contested", "label probably wrong")
LEAST_AGREEMENT = 0.4  # of decided images; votes in another order agree by chance, with a fifth of the labels
ENOUGH = 100  # decided images from which that is told from chance


def votes_of(predictions: Predictions, path: str | Path | None = None) -> pd.DataFrame:
    """The votes for each image of a predictions table that has any.

    Args:
        path: a csv of votes: FER+'s `fer2013new.csv`, or one with `id`, perhaps `split`, and a column of counts for each
            expression, “unknown” and “no face”. None: the shipped ones.

    Returns:
        One column of counts a choice of `CHOICES`; the index holds positions in the predictions table.

    Raises:
        DataError: no votes for these images, a file that cannot be read, or votes that contradict the labels so often
            that they must belong to other images.
    """
    table = predictions.table
    dataset = str(table["dataset"].iloc[0]) if len(table) else ""
    if path is None:
        if not have_votes(table, dataset):
            raise DataError(
                f"There are no votes for {dataset or 'a table without images'}: those shipped are for FER2013's images; "
                "give the path of a csv with a column id and one of counts for each expression."
            )
        votes, place = shipped_votes(), rows_of_votes(table, dataset)
    else:
        votes = _read(Path(path).expanduser())
        if HASH in votes.columns and not (predictions.has_hashes and table[HASH].isin(votes[HASH]).any()):
            votes = votes.drop(columns=HASH)  # FER+'s file beside other images, or an older table: by number
        by = [name for name in ("split", "id") if name in votes.columns]
        keys = pd.MultiIndex.from_frame(votes[by])
        if (twice := keys.duplicated()).any():
            raise DataError(f"{path}: {int(twice.sum())} images have votes twice, the first is {keys[twice][0]}.")
        place = same_images(table, votes)
    known = np.flatnonzero(place >= 0)
    found = votes[list(CHOICES)].iloc[place[known]].set_index(known).astype(np.int64)
    found = found[found.sum(axis=1) > 0]
    if not len(found):
        raise DataError(
            f"The votes have none of the {len(table):,} images of {dataset}; their ids must be the table's."
        )
    said, labels = majority(found).to_numpy(), table["label"].to_numpy()[found.index]
    decided = said != ""
    same = float((said == labels)[decided].mean()) if decided.any() else 1.0
    if decided.sum() >= ENOUGH and same < LEAST_AGREEMENT:
        raise DataError(
            f"The voters' majority is the given label in only {same:.0%} of {int(decided.sum()):,} images: these votes "
            "belong to other images, or the images' file is in another order than the votes'."
        )
    return found


def _read(path: Path) -> pd.DataFrame:
    """Votes of a csv with `id`, perhaps `split`, and one column a choice of `CHOICES`."""
    try:
        header = list(pd.read_csv(bounded_file(path), nrows=0).columns)
    except (OSError, ValueError, pd.errors.ParserError) as error:
        raise DataError(f"{path}: the votes cannot be read ({error}); expected a csv.") from error
    if "Usage" in header and "Image name" in header:
        votes = read_votes(path)
        votes = votes.assign(id=[f"{row:05d}" for row in range(len(votes))])
        return votes.assign(**{HASH: fer2013_rows().reindex(votes["id"]).fillna("").to_numpy()})
    named = {column: canonical(column) or (column if column in CHOICES else None) for column in header}
    chosen = {column: choice for column, choice in named.items() if choice}
    if "id" not in header or len(chosen) < 2:
        raise DataError(
            f"{path}: expected FER+'s fer2013new.csv, or the columns id and one of counts for each expression."
        )
    text = {column: "str" for column in ("id", "split") if column in header}
    try:
        table = pd.read_csv(path, dtype=text | dict.fromkeys(chosen, "int64"), usecols=[*text, *chosen])
    except ValueError as error:
        raise DataError(f"{path}: a vote is no whole number ({error}).") from error
    counts = (
        table[list(chosen)]
        .rename(columns=chosen)
        .T.groupby(level=0)
        .sum()
        .T.reindex(columns=list(CHOICES), fill_value=0)
    )
    if (counts < 0).any(axis=None):
        raise DataError(f"{path}: a count of votes is below 0.")
    return pd.concat([table[list(text)], counts], axis=1)


def judge(predictions: Predictions, votes: pd.DataFrame) -> pd.DataFrame:
    """Each image with votes, beside what the network says.

    Args:
        votes: what `votes_of` gives.

    Returns:
        `position` (in the predictions table), `dataset`, `split`, `id`, `label`, `predicted`, `confidence`, `correct`,
        `voters` (how many voted), `majority` (“” where there is none), `agreement` (share of the most frequent choice,
        0..1), `for_label` and `for_predicted` (votes), `verdict` (“” where the network says the label).
    """
    rows = votes.index.to_numpy()
    counts = votes.to_numpy()
    table = predictions.table.iloc[rows].reset_index(drop=True)
    voters = counts.sum(axis=1)
    names = ["dataset", "split", "id", "label", *([HASH] if predictions.has_hashes else [])]
    judged = table[names].assign(
        position=rows,
        predicted=predictions.predicted[rows],
        confidence=predictions.confidence[rows],
        correct=predictions.correct[rows],
        voters=voters,
        majority=majority(votes).to_numpy(),
        agreement=counts.max(axis=1) / np.maximum(voters, 1),
    )
    judged["for_label"] = _votes_for(counts, judged["label"])
    judged["for_predicted"] = _votes_for(counts, judged["predicted"])
    said = judged["majority"]
    verdict = np.where(said == judged["label"], VERDICTS[0], np.where(said == "", VERDICTS[1], VERDICTS[2]))
    return judged.assign(verdict=np.where(judged["correct"], "", verdict))


def _votes_for(counts: NDArray[np.int64], names: pd.Series) -> NDArray[np.int64]:
    columns = pd.Index(CHOICES).get_indexer(pd.Index(names))
    values: NDArray[np.int64] = np.where(columns >= 0, counts[np.arange(len(counts)), columns], 0)
    return values


def verdicts(judged: pd.DataFrame) -> pd.DataFrame:
    """The errors divided by the rule above.

    Returns:
        One row a verdict: `verdict`, `n`, `share` of all errors with `low` and `high` (Wilson 95 %), `sided` (how many
        of them answer what the majority says) and `supported` (how many have two or more votes for their answer).
    """
    errors = judged[~judged["correct"]]
    rows = []
    for verdict in VERDICTS:
        these = errors[errors["verdict"] == verdict]
        sided, supported = these["predicted"] == these["majority"], these["for_predicted"] >= 2
        rows.append((verdict, len(these), int(sided.sum()), int(supported.sum())))
    table = pd.DataFrame(rows, columns=["verdict", "n", "sided", "supported"])
    table["share"] = table["n"] / max(len(errors), 1)
    table["low"], table["high"] = wilson_bounds(table["n"], len(errors))
    return table


def verdicts_by_label(judged: pd.DataFrame) -> pd.DataFrame:
    """(labels, verdicts) how many errors of each given label fall to each verdict; labels by their number of errors."""
    errors = judged[~judged["correct"]]
    table = pd.crosstab(errors["label"], errors["verdict"]).reindex(columns=list(VERDICTS), fill_value=0)
    return table.loc[table.sum(axis=1).sort_values(ascending=False, kind="stable").index]


def by_agreement(judged: pd.DataFrame) -> pd.DataFrame:
    """Accuracy as a function of how far the voters agree.

    Returns:
        One row for each tenth of agreement that occurs: `agreement` (0.3..1; 0.3 stands for all up to it), `n`,
        `accuracy` against the given label and `reading` against the voters' most frequent choice where they have a
        majority, each with `_low`, `_high` (Wilson 95 %); `decided` (images with a majority).
    """
    frame = judged.assign(
        tenth=(judged["agreement"] * 10).round().astype(int).clip(3, 10),
        decided=judged["majority"] != "",
        agrees=judged["predicted"] == judged["majority"],
    )
    groups = frame.groupby("tenth")
    table = pd.DataFrame(
        {
            "agreement": groups["tenth"].first() / 10,
            "n": groups.size(),
            "right": groups["correct"].sum(),
            "decided": groups["decided"].sum(),
            "agrees": groups["agrees"].sum(),
        }
    ).reset_index(drop=True)
    for figure, hits, of in (("accuracy", "right", "n"), ("reading", "agrees", "decided")):
        table[figure] = table[hits] / table[of].where(table[of] > 0)
        table[f"{figure}_low"], table[f"{figure}_high"] = wilson_bounds(table[hits], table[of])
    return table.drop(columns=["right", "agrees"])


@dataclass(frozen=True)
class Ceiling:
    """What readers of the votes would score against the given labels, and the network on the same images.

    Attributes:
        n: images with votes.
        decided: those with a majority.
        majority: share of the decided images whose majority is the label: a perfect reader of the majority.
        network: the network's accuracy on the same decided images.
        plurality: expected accuracy over all n of who answers the most frequent choice (ties: at random).
        voter: expected accuracy over all n of one voter drawn at random.
        network_all: the network's accuracy over all n.
    """

    n: int
    decided: int
    majority: float
    majority_interval: Interval
    network: float
    network_interval: Interval
    plurality: float
    voter: float
    network_all: float
    network_all_interval: Interval


def ceiling(judged: pd.DataFrame, votes: pd.DataFrame) -> Ceiling:
    """The best that a reader of the votes can score against the given labels.

    A network above it has not read faces better than people: it has learned the habits of the labels.
    """
    decided = judged[judged["majority"] != ""]
    n, m = len(judged), len(decided)

    def share(hits: pd.Series, of: int) -> tuple[float, Interval]:
        k = int(hits.sum())
        return k / max(of, 1), wilson(k, of)

    top = votes.to_numpy().max(axis=1)
    tied = (votes.to_numpy() == top[:, None]).sum(axis=1)
    wins = (judged["for_label"].to_numpy() == top) & (top > 0)
    perfect, network = share(decided["majority"] == decided["label"], m), share(decided["correct"], m)
    everywhere = share(judged["correct"], n)
    return Ceiling(
        n,
        m,
        *perfect,
        *network,
        plurality=float((wins / tied).mean()),
        voter=float((judged["for_label"] / judged["voters"]).mean()),
        network_all=everywhere[0],
        network_all_interval=everywhere[1],
    )
