"""A head of one's own, learned from rendered heads of one person."""

import re
from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fer_core.errors import DataError
from fer_core.evaluation.intervals import wilson
from fer_core.heads.actions import express, settled, unpaired
from fer_core.heads.people import draw_person
from fer_core.heads.renderer import render
from fer_core.heads.scene import Pose, Scene
from fer_core.models.logits import penultimate
from fer_core.serving.few_shot import LEAST, stretches, teach
from fer_core.serving.predictor import LoadedNetwork, Prediction, Predictor
from fer_core.workspace import CHECKPOINTS

SHOWN = ("happy", "surprise", "angry")
EACH = 6


@cache
def network() -> LoadedNetwork:
    return LoadedNetwork.of(CHECKPOINTS / "mini-xception")


@cache
def recorded() -> dict[str, list[Prediction]]:
    """One person who moves the head a little while showing three expressions, as a network predicts them."""
    person, random = draw_person(3), np.random.default_rng(0)
    scenes = [
        Scene(
            person=person,
            actions=settled(unpaired(express(name, float(random.uniform(0.7, 1)), seed=number)))[0],
            pose=Pose(yaw=float(random.normal(0, 6)), pitch=float(random.normal(0, 4))),
            seed=number,
        )
        for name in SHOWN
        for number in range(EACH)
    ]
    predictor = Predictor.of(network())
    found = [predictor.predict(image, "none")[0] for image in render(scenes, 64)]
    return {name: found[EACH * k : EACH * (k + 1)] for k, name in enumerate(SHOWN)}


def test_it_learns_a_person_and_its_accuracy_is_that_of_an_independent_cross_validation() -> None:
    head = teach(network(), recorded())
    assert head.counts == dict.fromkeys(SHOWN, EACH)
    assert head.interval[0] > head.chance == pytest.approx(1 / 3)
    faces = [face for given in recorded().values() for face in given]
    features = penultimate(network().model, np.stack([face.picture for face in faces]), network().card.image)
    labels = np.repeat(SHOWN, EACH)
    folds = PredefinedSplit(3 * [0, 0, 1, 2, 3, 4])  # by hand: six images in five stretches
    other = cross_val_predict(make_pipeline(StandardScaler(), LogisticRegression()), features, labels, cv=folds)
    assert head.correct == int((other == labels).sum())
    assert head.network_correct == sum(face.predicted == label for face, label in zip(faces, labels, strict=True))
    assert head.network_interval == wilson(head.network_correct, 18)
    probs = head.probs(recorded()["surprise"][0])
    assert max(probs, key=probs.__getitem__) == "surprise"
    assert sum(probs.values()) == pytest.approx(1)


def test_what_has_nothing_to_learn_is_not_learned() -> None:
    mixed = [face for given in recorded().values() for face in given]
    order = np.random.default_rng(1).permutation(len(mixed))
    shuffled = {name: [mixed[i] for i in order[EACH * k : EACH * (k + 1)]] for k, name in enumerate(SHOWN)}
    head = teach(network(), shuffled)
    assert head.interval[0] < head.chance


def test_one_expression_or_too_few_images_get_a_sentence() -> None:
    shown = recorded()
    with pytest.raises(DataError, match=re.escape("There are images of none so far; record a second expression.")):
        teach(network(), {"happy": []})
    with pytest.raises(
        DataError, match=re.escape("There are images of happy alone so far; record a second expression.")
    ):
        teach(network(), {"happy": shown["happy"], "sad": []})
    with pytest.raises(DataError, match=re.escape(f"Each expression needs {LEAST} images or more")) as told:
        teach(network(), {"happy": shown["happy"], "angry": shown["angry"][: LEAST - 1]})
    assert "Too few: angry (4)." in str(told.value)


def test_neighbours_share_a_fold_and_every_fold_holds_each_expression() -> None:
    assert stretches(10).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    for n in range(LEAST, 30):
        folds = stretches(n)
        assert set(folds.tolist()) == set(range(5))
        assert (np.diff(folds) >= 0).all()
