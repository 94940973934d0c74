"""Ensembles: several trained networks as one checkpoint, which networks fit together, and how votes are weighted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from fer_core.checkpoint import Card, Cost, load_tensors, save_tensors, weights_path, write_card
from fer_core.datasets import Dataset, splits
from fer_core.datasets.identity import HASH
from fer_core.datasets.titles import split_title
from fer_core.errors import ConfigError
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.results import results, trained_on
from fer_core.images import ImageSpec
from fer_core.labels import VOCABULARIES, Expressions
from fer_core.recipe import About, TrainConfig
from fer_core.runs.folder import RunFolder
from fer_core.runs.store import Checkpoint, find

if TYPE_CHECKING:
    import torch

    from fer_core.models.ensemble import Ensemble, Vote

Voting = Literal["mean", "weighted", "stacked"]
WORDS = {"mean": "mean", "weighted": "weighted mean", "stacked": "a layer stacked on the logarithms"}
FOLDS = 5  # of the part that a vote is fitted on, so that each image is answered by a vote that has not seen it
TTA = "flip"  # of every ensemble


@dataclass(frozen=True)
class Plan:
    """What members have in common: the ensemble's network arguments, image and expressions."""

    cards: tuple[Card, ...]
    arguments: dict[str, Any]
    image: ImageSpec
    expressions: tuple[str, ...]

    @property
    def left_out(self) -> tuple[str, ...]:
        """Expressions that some member does not know or was not made for. The ensemble does not predict them."""
        known = [*(name for card in self.cards for name in (*card.expressions, *card.leave_out))]
        return tuple(dict.fromkeys(name for name in known if name not in self.expressions))


def plan(found: Sequence[Checkpoint], native: int = 0) -> Plan:
    """How networks are combined.

    Expressions are matched by name. Those that not all members know are left out, and each member's probabilities are
    scaled to sum to 1 over the rest. Where the members' images differ, the ensemble takes images at their own size
    `native` (pixels a side; 0: not known), but at least the smallest and at most the largest member's, and each member
    resizes and normalises them as it learned to.

    Raises:
        ConfigError: fewer than two, two whose faces or preparation differ, or fewer than two common expressions.
    """
    cards = tuple(one.card for one in found)
    names = [card.name for card in cards]
    if len(cards) < 2 or len(set(names)) < len(names):
        raise ConfigError(f"An ensemble needs two or more different networks, found {', '.join(names) or 'none'}.")
    first = cards[0]
    for card in cards[1:]:
        for what, mine, other in (
            ("face", card.face, first.face),
            ("image preparation", card.image.preparation, first.image.preparation),
        ):
            if mine != other:
                raise ConfigError(
                    f"{card.name} and {first.name} differ in their {what} ({mine} and {other}); an ensemble's members "
                    "take the same faces."
                )
    shared = tuple(name for name in first.expressions if all(name in card.expressions for card in cards))
    if len(shared) < 2:
        sets = "; ".join(f"{card.name}: {', '.join(card.expressions)}" for card in cards)
        raise ConfigError(f"These networks share fewer than two expressions ({sets}); choose others to combine.")
    same_images = all(card.image == first.image for card in cards)
    same_answers = all(card.expressions == first.expressions for card in cards)
    members: list[dict[str, Any]] = []
    for card in cards:
        member: dict[str, Any] = {"network": card.network, "arguments": card.arguments}
        if not same_images:
            member["image"] = card.image.model_dump(mode="json", exclude={"preparation"}, exclude_none=True)
        if not same_answers:
            member["expressions"] = list(card.expressions)
        members.append(member)
    image = first.image if same_images else _common(cards, native)
    arguments: dict[str, Any] = {"members": members}
    return Plan(cards, arguments if same_answers else arguments | {"expressions": list(shared)}, image, shared)


def _common(cards: Sequence[Card], native: int) -> ImageSpec:
    """Images at a size from which each member's own can be made; 0 is a grey, for methods that explain against it."""
    sides = {axis: [getattr(card.image, axis) for card in cards] for axis in ("height", "width")}
    size = {axis: min(max(native or max(found), min(found)), max(found)) for axis, found in sides.items()}
    return ImageSpec(
        channels=3 if any(card.image.channels == 3 for card in cards) else 1,
        preparation=cards[0].image.preparation, **size,
    )  # fmt: skip


def combine(
    names: Sequence[str],
    name: str,
    data: str,
    title: str = "",
    *,
    voting: Voting = "mean",
    dataset: Dataset | None = None,
) -> RunFolder:
    """Write an ensemble of networks as a finished run; evaluate it to give its card figures.

    A fitted vote comes with cross-fitted predictions on the split that it was fitted on: each image is predicted by a
    vote fitted on other images. Predictions of the final vote on that split would be optimistic.

    Args:
        names: of networks that fit together, see `plan`.
        data: what the members were chosen on, as the run's data.
        voting: “mean” counts each alike. “weighted” (one weight a member) and “stacked” (a linear layer) are fitted on
            the validation set of `dataset`, and on nothing else.
        dataset: the set behind `data`; needed unless it is the mean of networks that take the same images.

    Raises:
        ConfigError: the networks do not fit together, or the vote cannot be fitted; the message names the difference.
        RunError: the name is taken.
    """
    RunFolder.named(name).refuse_taken()  # before a vote is fitted
    found = [find(one) for one in names]
    native = max(dataset.picture(0).shape[:2]) if dataset is not None and len(dataset) else 0
    planned = plan(found, native)
    tensors = {
        f"members.{number}.{key}": value
        for number, one in enumerate(found)
        for key, value in load_tensors(weights_path(one.folder))[0].items()
    }
    fitted = None if voting == "mean" else _fitted(planned, tensors, voting, dataset)
    arguments = planned.arguments | (fitted.arguments if fitted else {})
    title = title or f"Ensemble of {len(names)} networks"
    without = f"; not answered: {', '.join(planned.left_out)}" if planned.left_out else ""
    vocabulary = next((v.name for v in VOCABULARIES.values() if v.names == planned.expressions), "")
    config = TrainConfig(
        about=About(title=title, source=f"{WORDS[voting]} of the probabilities of {', '.join(names)}{without}"),
        network="ensemble", arguments=arguments, expressions=vocabulary or found[0].card.expressions_name, tta=TTA,
    )  # fmt: skip
    run = RunFolder.create(name, config, data)
    save_tensors(run.path / "best.safetensors", tensors | (fitted.tensors if fitted else {}))
    card = _card(name, title, planned, arguments, vocabulary or "shared")
    if fitted and dataset is not None:
        fitted.predictions.write(run.path / f"predictions-{dataset.name}-{fitted.split}.parquet", "cross-fitted")
        card = _with_vote(card, fitted, dataset)
    write_card(run.path, card)
    run.write(replace(run.status(), state="finished", message=f"Made of {', '.join(names)}{without}."))
    return run


def _with_vote(card: Card, fitted: Fitted, dataset: Dataset) -> Card:
    """The card with what the vote adds: its parameters, what it was fitted on, and its cross-fitted figures there."""
    split, n = fitted.split, len(fitted.predictions)
    changed = {
        "parameters": card.parameters + sum(value.numel() for value in fitted.tensors.values()),
        "chosen_on": f"{card.chosen_on}; the vote is fitted on {dataset.title}, {split} ({n:,} images), each of which is "
        "answered there by a vote fitted on others",
        "results": {
            f"{dataset.name}-{split}": results(fitted.predictions, dataset, split, trained_on(card), "cross-fitted")
        },
    }
    return card.model_copy(update=changed)


def _card(name: str, title: str, planned: Plan, arguments: dict[str, Any], vocabulary: str) -> Card:
    cards, first = planned.cards, planned.cards[0]
    cost = Cost(
        cpu_minutes=round(sum(card.cost.cpu_minutes for card in cards), 2),
        wall_minutes=round(sum(card.cost.wall_minutes for card in cards), 2),
        device=first.cost.device,
        images_per_second=min(card.cost.images_per_second for card in cards),
    )
    return first.model_copy(
        update={
            "name": name, "title": title, "network": "ensemble", "arguments": arguments, "tta": TTA,
            "image": planned.image, "expressions": planned.expressions, "expressions_name": vocabulary,
            "leave_out": planned.left_out, "start": None,
            "parameters": sum(card.parameters for card in cards), "temperature": None, "cost": cost, "results": {},
            "recipe": {"members": {card.name: card.recipe for card in cards}},
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }
    )  # fmt: skip


def fitting_part(cards: Sequence[Card]) -> str:
    """The split that a vote may be fitted on: the one that chose the members' epochs, on which none of them was
    trained.

    Raises:
        ConfigError: there is none.
    """
    wanted = {card.recipe.get("val_split", "val") for card in cards}
    if len(wanted) > 1 or "" in wanted:
        raise ConfigError(
            "A vote is fitted on the part that chose the members' epochs, and these differ or are missing "
            f"({', '.join(sorted(part or 'none' for part in wanted))}); use the mean."
        )
    (part,) = wanted
    if learned := [card.name for card in cards if part in trained_on(card).split("+")]:
        raise ConfigError(
            f"{', '.join(learned)} were trained on the {split_title(part)}, on which the vote would be fitted; use the mean."
        )
    return str(part)


@dataclass(frozen=True)
class Fitted:
    """A vote: arguments and tensors that the ensemble's network takes, and its cross-fitted predictions on `split`."""

    arguments: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    predictions: Predictions
    split: str


def _fitted(planned: Plan, tensors: dict[str, torch.Tensor], voting: Voting, dataset: Dataset | None) -> Fitted:
    """A vote fitted on the validation set of the members' runs.

    Raises:
        ConfigError: there is no such set, or too few images of an expression in it.
    """
    if dataset is None:
        raise ConfigError(f"A {voting} vote is fitted on a validation set: name the data.")
    split = fitting_part(planned.cards)
    asked, vocabulary = dataset.without(planned.left_out), Expressions("shared", planned.expressions)
    rows = asked.rows(split)
    labels = asked.label_index(vocabulary, rows)
    if missing := [name for i, name in enumerate(planned.expressions) if (labels == i).sum() < FOLDS]:
        raise ConfigError(
            f"{dataset.title}, {split}, has fewer than {FOLDS} images of {', '.join(missing)}: too few to fit the weights of a "
            "vote; average the predictions instead."
        )
    logs = _member_answers(_network(planned, tensors), asked.images(planned.image)[rows], planned.image)
    fit = {"weighted": fit_weights, "stacked": fit_stacker}[voting]
    fold = splits.folds(asked.index["label"].iloc[rows], FOLDS, 0, _groups(asked, rows))
    index = asked.index.iloc[rows]
    table = Predictions.from_logits(
        index["id"].tolist(), dataset.name, split, index["label"].tolist(), _cross_fitted(fit, logs, labels, fold),
        vocabulary, index[HASH].tolist(),
    )  # fmt: skip
    whole = fit(logs, labels)
    if voting == "stacked":
        added = {f"vote.{key}": value for key, value in whole.state_dict().items()}
        return Fitted({"stacked": True}, added, table, split)
    return Fitted({"weights": whole.get_buffer("weights").exp().flatten().tolist()}, {}, table, split)


def _network(planned: Plan, tensors: dict[str, torch.Tensor]) -> Ensemble:
    from fer_core.models import build
    from fer_core.models.ensemble import Ensemble

    network = build("ensemble", classes=len(planned.expressions), spec=planned.image, arguments=planned.arguments)
    assert isinstance(network, Ensemble)
    network.load_state_dict(tensors)
    return network


def _cross_fitted(
    fit: Callable[..., Vote], logs: NDArray[np.float32], labels: NDArray[np.int64], fold: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(n, K) logits, each image's by a vote that was fitted on the other folds."""
    import torch

    logits = np.empty((len(labels), logs.shape[-1]), np.float32)
    for number in range(FOLDS):
        here = fold == number
        vote = fit(logs[:, ~here], labels[~here])
        with torch.inference_mode():
            logits[here] = torch.stack([vote(view) for view in torch.from_numpy(logs[:, here])]).mean(dim=0)
    return logits


def _groups(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.object_] | None:
    groups = splits.groups_of(dataset.index)
    return None if groups is None or len(set(groups[rows])) < FOLDS else groups[rows]


def _member_answers(network: Ensemble, images: NDArray[np.uint8], spec: ImageSpec) -> NDArray[np.float32]:
    """(2, n, M, K): each member's log-probabilities for the images, and for their mirror images, as `TTA` asks for."""
    from torch import nn

    from fer_core.models.logits import predict_logits

    class Answers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.network.log_probs(inputs).flatten(1)

    views = (images, images[:, :, ::-1])
    flat = np.stack([predict_logits(Answers(), np.ascontiguousarray(view), spec) for view in views])
    return flat.reshape(*flat.shape[:2], len(network.members), -1)


def fit_weights(logs: NDArray[np.float32], labels: NDArray[np.int64]) -> Vote:
    """The weights w of a mean of probabilities that make the labels most probable: w >= 0, summing to 1.

    Expectation-maximisation for the shares of a mixture: w_m <- mean_i w_m p_mi / sum_j w_j p_ji. The likelihood is
    concave in w and rises at each step.

    Args:
        logs: (V, n, M, K) log-probabilities of M members in V views of n images.
        labels: (n,) right expressions.
    """
    from fer_core.models.ensemble import Vote

    right = np.exp(logs[:, np.arange(len(labels)), :, labels].astype(np.float64)).reshape(-1, logs.shape[2])
    weights = np.full(logs.shape[2], 1 / logs.shape[2])
    for _ in range(10_000):
        shares = weights * right + 1e-300  # all members may be sure of another expression
        new = (shares / shares.sum(axis=1, keepdims=True)).mean(axis=0)
        if np.abs(new - weights).max() < 1e-9:
            break
        weights = new
    return Vote(weights.tolist(), logs.shape[3], stacked=False)


def fit_stacker(logs: NDArray[np.float32], labels: NDArray[np.int64]) -> Vote:
    """Multinomial logistic regression with an L2 penalty (C = 1) on the members' log-probabilities, mean over the views.

    A linear layer commutes with the mean over views, so it is fitted on the same inputs as it gets later.

    Args:
        logs, labels: as `fit_weights`; every expression has to be among the labels.
    """
    import torch
    from sklearn.linear_model import LogisticRegression

    from fer_core.models.ensemble import LEAST, Vote

    _, n, members, classes = logs.shape
    values = np.maximum(logs, LEAST).mean(axis=0).reshape(n, members * classes).astype(np.float64)
    found = LogisticRegression(C=1.0, max_iter=5000).fit(values, labels)
    coefficients, intercepts = found.coef_, found.intercept_
    if classes == 2:  # one row, for the second of the two
        coefficients, intercepts = np.vstack([0 * coefficients, coefficients]), np.append(0 * intercepts, intercepts)
    vote = Vote([1 / members] * members, classes, stacked=True)
    assert vote.stacker is not None
    with torch.no_grad():
        vote.stacker.weight.copy_(torch.from_numpy(coefficients))
        vote.stacker.bias.copy_(torch.from_numpy(intercepts))
    return vote
