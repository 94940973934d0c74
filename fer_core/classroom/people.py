"""What a class answered, as tables: votes, agreement, matrices, consensus, and the class as a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_core.classroom.session import Session
from fer_core.classroom.tasks import NO_EXPRESSION
from fer_core.errors import ClassError
from fer_core.evaluation.confusion import Counts, count_pairs
from fer_core.evaluation.error_consistency import ErrorConsistency, of_counts
from fer_core.evaluation.intervals import Interval, wilson, wilson_bounds
from fer_core.evaluation.predictions import Predictions
from fer_core.foreign.predictions import LEAST, Imported, import_predictions
from fer_core.labels import vocabulary
from fer_core.runs.store import free_name


def votes(answers: pd.DataFrame, choices: Sequence[str], size: int) -> pd.DataFrame:
    """(size, choices) how many people gave each answer to each image; the index is the image's position.

    Args:
        answers: as `Session.answers` gives them.
    """
    counts = pd.crosstab(answers["position"], answers["choice"]) if len(answers) else pd.DataFrame()
    return counts.reindex(index=range(size), columns=list(choices), fill_value=0).astype(np.int64)


def image_by_image(session: Session) -> pd.DataFrame:
    """The class and the network on each image.

    Returns:
        `position`, `id`, `label`, `truth`, `n` answers, `most` (the most frequent answer, of equal ones the first; “” without
        answers), `agreement` (its share, 0..1), `right` (the share of the right answer), `network` (its answer, “” where
        unknown), and `difference`: half the sum of the absolute differences between the shares of the answers and the
        network's probabilities, 0 (the same) to 1.
    """
    about = session.about
    images = session.facts()
    counts = votes(session.answers(), about.choices, about.size)
    n = counts.sum(axis=1).to_numpy()
    share = counts.to_numpy() / np.maximum(n, 1)[:, None]
    probs = [facts.get("probs", {}) for facts in images["facts"]]
    theirs = np.array([[one.get(name, 0.0) for name in about.choices] for one in probs])
    known = np.array([bool(one) for one in probs])
    truth = [about.choices.index(one) if one in about.choices else -1 for one in images["truth"]]
    best = np.array(about.choices, dtype=object)[share.argmax(axis=1)]
    return images[["position", "id", "label", "truth"]].assign(
        n=n,
        most=np.where(n > 0, best, ""),
        agreement=np.where(n > 0, share.max(axis=1), np.nan),
        right=np.where(n > 0, share[np.arange(len(images)), truth], np.nan),
        network=[max(one, key=one.__getitem__) if one else "" for one in probs],
        difference=np.where(known & (n > 0), np.abs(share - theirs).sum(axis=1) / 2, np.nan),
    )


def matrices(session: Session) -> tuple[tuple[str, ...], Counts, Counts]:
    """The answers' expressions, and two (k, k) confusion matrices of the right answer and what was given: every answer of
    the class counts, and of the network its answer to each image that the class has answered, once."""
    images = session.facts()
    names = tuple(name for name in session.about.choices if name not in NO_EXPRESSION)
    place = {name: at for at, name in enumerate(names)}
    answers = session.answers()
    truth = images["truth"].to_numpy()[answers["position"].to_numpy(dtype=np.int64)]
    of_class = _counted(truth, answers["choice"].to_numpy(), place)
    seen = images[images["position"].isin(answers["position"])]
    probs = [facts.get("probs") for facts in seen["facts"]]
    theirs = np.array([max(one, key=one.__getitem__) if one else "" for one in probs], dtype=object)
    return names, of_class, _counted(seen["truth"].to_numpy(), theirs, place)


def _counted(rows: NDArray[np.object_], columns: NDArray[np.object_], place: dict[str, int]) -> Counts:
    known = [(place[r], place[c]) for r, c in zip(rows, columns, strict=True) if r in place and c in place]
    pairs = np.array(known, dtype=np.int64).reshape(-1, 2)
    return count_pairs(pairs[:, 0], pairs[:, 1], len(place))


@dataclass(frozen=True)
class Score:
    """How often a class is right, over all answers, and a network on the images that the class has answered; NaN where there
    is none. The class's interval is Student's over its people, since answers of one person are alike."""

    people: int
    answers: int
    accuracy: float
    interval: Interval
    network: float
    network_interval: Interval
    images: int


def score(session: Session) -> Score:
    """How often the class and the network are right."""
    from fer_core.explanation.means import band

    images, answers = session.facts(), session.answers()
    truth = images["truth"].to_numpy()[answers["position"].to_numpy(dtype=np.int64)]
    right = pd.Series(truth == answers["choice"].to_numpy(), dtype=float).groupby(answers["nickname"].to_numpy()).mean()
    nothing = Interval(float("nan"), float("nan"))
    people = len(right)
    low_high = nothing
    if people > 1:
        found = band(right.to_numpy()[:, None])
        low_high = Interval(float(max(0.0, found.low[0])), float(min(1.0, found.high[0])))
    table = image_by_image(session)
    known = table[(table["n"] > 0) & (table["network"] != "")]
    hits, n = int((known["network"] == known["truth"]).sum()), len(known)
    return Score(
        people, len(answers), float(right.mean()) if people else float("nan"), low_high,
        hits / n if n else float("nan"), wilson(hits, n) if n else nothing, n,
    )  # fmt: skip


def of_each(session: Session) -> pd.DataFrame:
    """One row a student who has answered: `nickname`, `answered`, `right` (0..1) with Wilson's interval (`right_low`,
    `right_high`), `sure` (mean confidence) and `seconds` (median)."""
    images, answers = session.facts(), session.answers()
    truth = images["truth"].to_numpy()[answers["position"].to_numpy(dtype=np.int64)]
    table = answers.assign(right=truth == answers["choice"].to_numpy()).groupby("nickname", sort=False)
    made = table.agg(
        answered=("position", "size"),
        hits=("right", "sum"),
        right=("right", "mean"),
        sure=("confidence", "mean"),
        seconds=("seconds", "median"),
    )
    low, high = wilson_bounds(made.pop("hits"), made["answered"])
    return made.assign(right_low=low, right_high=high).reset_index()


def consistency(session: Session) -> ErrorConsistency:
    """Are the class (its most frequent answers, of equal ones the first) and the network wrong on the same images?

    Raises:
        ClassError: no image has both an answer of the class and of the network.
    """
    table = image_by_image(session)
    both = table[(table["n"] > 0) & (table["network"] != "")]
    if not len(both):
        raise ClassError("No image has been answered by the class and by a network.")
    a, b = ((both[who] == both["truth"]).to_numpy().astype(np.int64) for who in ("most", "network"))
    return of_counts(count_pairs(a, b, 2))


# ------------------------------------------------------------------------------------------------------ people as a network


def predictions(session: Session) -> dict[str, Predictions]:
    """The class's predictions tables by split: the shares of the votes as probabilities.

    “Unknown” and “no face” count for no expression. Images that nobody gave an expression are left out, and so are those
    whose label is none of the choices.

    Raises:
        ClassError: the task does not ask what people see, or nobody has answered.
    """
    about = session.about
    if not about.kind.people:
        raise ClassError(f"“{about.kind.title}” does not ask people what they see, so its answers are no predictions.")
    names = vocabulary([name for name in about.choices if name not in NO_EXPRESSION])
    counts = votes(session.answers(), about.choices, about.size)[list(names.names)].to_numpy(dtype=np.float64)
    images = session.facts()
    given = (counts.sum(axis=1) > 0) & images["label"].isin(names.names).to_numpy()
    if not given.any():
        raise ClassError("Nobody has answered yet, so there are no predictions. Wait for the first answers.")
    images, counts = images[given], counts[given]
    logits = np.log(np.maximum(counts / counts.sum(axis=1, keepdims=True), LEAST))
    made = {}
    for split in images["split"].unique():
        rows = (images["split"] == split).to_numpy()
        part = images[rows]
        made[str(split)] = Predictions.from_logits(
            part["id"].tolist(), part["dataset"].tolist(), str(split), part["label"].tolist(), logits[rows], names,
            part["hash"].tolist(),
        )  # fmt: skip
    return made


def as_network(session: Session) -> Path:
    """Keep the class as a network of the workspace, which has predictions tables and no weights, and return its folder.

    A later call keeps another one: the first is not changed, so that what was computed from it stays true.

    Raises:
        ClassError: as `predictions`.
    """
    about = session.about
    found = Imported(predictions(session), (), ())
    day = datetime.fromtimestamp(about.made, UTC).date().isoformat()
    people = int((session.students()["answered"] > 0).sum())
    title = f"{about.name} ({people} people)"
    return import_predictions(
        found,
        free_name(f"class-{session.code.lower()}"),
        f"class {session.code}, {day}",
        session.export().encode(),
        title=title,
    )


def votes_csv(session: Session) -> str:
    """The votes as the Labels page reads them: `id`, `split` and one column of counts a choice."""
    about = session.about
    counts = votes(session.answers(), about.choices, about.size)
    return pd.concat([session.facts()[["id", "split"]], counts], axis=1).to_csv(index=False)


# -------------------------------------------------------------------------------------------------------------- consensus


@dataclass(frozen=True, eq=False)
class Consensus:
    """What several people say together, and how good each of them is.

    Attributes:
        images: one row an image with answers: `position`, `n`, `majority`, `consensus`, `quality` (0..1, how likely the
            consensus is right).
        raters: one row a person: `nickname`, `quality` (0..1), `agreement` (share of answers equal to the consensus),
            `answered`.
    """

    images: pd.DataFrame
    raters: pd.DataFrame


def consensus(given: pd.DataFrame, names: Sequence[str], probs: NDArray[np.float64]) -> Consensus:
    """Consensus labels and each person's quality by CROWDLAB (Goh, Tkachenko and Mueller 2022, arXiv 2210.06812), of the
    library cleanlab. It weighs people and a network by how often they agree with others.

    Args:
        given: one row an image, one column a person: what they answered; NaN or another word for nothing.
        names: k expressions.
        probs: (images, k), a network's probabilities in the order of `names`; the network must not have learned the images.

    Raises:
        ClassError: fewer than two people, no image with two answers, or a class of answers too small to weigh anybody.
    """
    from cleanlab.multiannotator import get_label_quality_multiannotator, get_majority_vote_label

    numbers = given.apply(lambda column: column.map({name: at for at, name in enumerate(names)}))
    kept = numbers.notna().any(axis=1).to_numpy()
    numbers = numbers[kept].loc[:, lambda table: table.notna().any()]
    if numbers.shape[1] < 2 or not (numbers.notna().sum(axis=1) > 1).any():
        raise ClassError("A consensus needs images that two or more people have labelled. Wait for more answers.")
    safe = np.clip(probs[kept], 1e-6, None)
    safe /= safe.sum(axis=1, keepdims=True)
    try:
        found = get_label_quality_multiannotator(
            numbers.reset_index(drop=True), safe, verbose=False, return_weights=False, return_detailed_quality=False
        )
        majority = get_majority_vote_label(numbers.reset_index(drop=True), safe, verbose=False)
    except ValueError as error:  # cleanlab's, of too few answers
        raise ClassError(f"These answers give no consensus yet ({error}). Wait for more.") from error
    images, raters = found["label_quality"], found["annotator_stats"]
    word = np.array(names, dtype=object)
    people = raters.reindex(numbers.columns)
    return Consensus(
        pd.DataFrame(
            {
                "position": np.asarray(given.index)[kept],
                "n": images["num_annotations"].to_numpy(),
                "majority": word[np.asarray(majority, dtype=np.int64)],
                "consensus": word[images["consensus_label"].to_numpy(dtype=np.int64)],
                "quality": images["consensus_quality_score"].to_numpy(),
            }
        ),
        pd.DataFrame(
            {
                "nickname": numbers.columns,
                "quality": people["annotator_quality"].to_numpy(),
                "agreement": people["agreement_with_consensus"].to_numpy(),
                "answered": people["num_examples_labeled"].to_numpy(),
            }
        ).sort_values("quality", ascending=False, ignore_index=True),
    )


def consensus_of(session: Session) -> Consensus:
    """The consensus of a session, with the network beside the class.

    Raises:
        ClassError: as `consensus`; or no network stands beside the class.
    """
    names = [name for name in session.about.choices if name not in NO_EXPRESSION]
    answers, images = session.answers(), session.facts()
    known = images[[bool(facts.get("probs")) for facts in images["facts"]]]
    if not len(known):
        raise ClassError("A consensus needs a network beside the class. Choose one when you start the session.")
    given = answers.set_index(["position", "nickname"])["choice"].unstack().reindex(known["position"])  # noqa: PD010
    probs = np.array([[facts["probs"].get(name, 0.0) for name in names] for facts in known["facts"]])
    return consensus(given, names, probs)
