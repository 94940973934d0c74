"""What a class answered, against numbers worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from fer_core.classroom import people
from fer_core.classroom.session import Session, choices_of
from fer_core.errors import ClassError
from fer_core.evaluation.comparison import compare
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from fer_core.runs import store
from tests.fer_core.classroom.test_session import item

TRUTH = ("happy", "happy", "sad", "sad")
GIVEN = {
    "Ada": ("happy", "sad", "sad", "sad"),
    "Ben": ("happy", "happy", "happy", "sad"),
    "Cem": ("happy", "sad", "sad", None),
}
NETWORK = (
    {"happy": 0.8, "sad": 0.2},
    {"happy": 0.4, "sad": 0.6},
    {"happy": 0.1, "sad": 0.9},
    {"happy": 0.7, "sad": 0.3},
)


def answered(task: str = "read", given: dict[str, tuple[str | None, ...]] = GIVEN) -> Session:
    items = [item(at, truth, probs=dict.fromkeys(FER7.names, 0.0) | NETWORK[at]) for at, truth in enumerate(TRUTH)]
    session = Session.create("7b", task, items, choices_of(task, FER7.names), network="Net")
    for name, choices in given.items():
        token = session.join(name).token
        for choice in choices:
            if choice is not None:
                asked = session.question(token)
                assert asked is not None
                session.answer(token, asked.position, choice, 0.5)
    return session


def test_votes_matrix_and_agreement_by_hand() -> None:
    session = answered()
    counts = people.votes(session.answers(), FER7.names, 4)
    assert counts[["happy", "sad"]].to_numpy().tolist() == [[3, 0], [1, 2], [1, 2], [0, 2]]
    names, of_class, of_network = people.matrices(session)
    at = [names.index("happy"), names.index("sad")]
    assert of_class[np.ix_(at, at)].tolist() == [[4, 2], [1, 4]]  # 11 answers
    assert of_network[np.ix_(at, at)].tolist() == [[1, 1], [1, 1]]
    assert of_class.sum() == 11
    table = people.image_by_image(session)
    assert table["most"].tolist() == ["happy", "sad", "sad", "sad"]
    assert table["agreement"].tolist() == pytest.approx([1, 2 / 3, 2 / 3, 1])
    assert table["right"].tolist() == pytest.approx([1, 1 / 3, 2 / 3, 1])
    # half of |1 - 0.8| + |0 - 0.2|, of |1/3 - 0.4| + |2/3 - 0.6|, ...
    assert table["difference"].tolist() == pytest.approx([0.2, 1 / 15, 0.9 - 2 / 3, 0.7])


def test_the_score_is_that_of_people_and_not_of_answers() -> None:
    found = people.score(answered())
    assert (found.people, found.answers, found.images) == (3, 11, 4)
    # Ada 3 of 4, Ben 3 of 4, Cem 2 of 3; the network is right on the first and the third image
    assert found.accuracy == pytest.approx((0.75 + 0.75 + 2 / 3) / 3)
    assert found.network == 0.5
    assert found.interval.low < found.accuracy < found.interval.high


def test_each_person_has_their_share_with_its_interval() -> None:
    table = people.of_each(answered()).set_index("nickname")
    assert table["answered"].to_dict() == {"Ada": 4, "Ben": 4, "Cem": 3}
    # Wilson: (3 + z^2/2 -+ z sqrt(3 * 1 / 4 + z^2/4)) / (4 + z^2), z^2 = 3.8415
    assert table.loc["Ada", ["right", "right_low", "right_high"]].tolist() == pytest.approx(
        [0.75, 0.3006, 0.9544], abs=1e-4
    )
    assert table.loc["Cem", "right"] == pytest.approx(2 / 3)
    assert set(table["sure"]) == {0.5}


def test_a_class_becomes_a_network_with_the_votes_as_probabilities() -> None:
    session = answered()
    (table,) = people.predictions(session).values()
    names = list(table.expressions.names)
    assert table.expressions == FER7
    assert table.probs[1, names.index("sad")] == pytest.approx(2 / 3)
    assert table.correct.tolist() == [True, False, True, True]
    folder = people.as_network(session)
    network = store.checkpoints()[folder.name]
    assert network.card.title == "7b (3 people)"
    assert network.predictions("heads-test").table.equals(table.table)
    assert people.as_network(session).name == f"{folder.name}-2"  # a later one beside it


def test_error_consistency_of_class_and_network_by_hand() -> None:
    """Class right, wrong, right, right; network right, wrong, right, wrong: both right on 2, both wrong on 1, so 3 of 4 are
    consistent. Chance: 3/4 * 2/4 + 1/4 * 2/4 = 1/2. Kappa = (3/4 - 1/2) / (1 - 1/2) = 1/2."""
    session = answered()
    (table,) = people.predictions(session).values()
    logits = [[np.log(max(one.get(name, 0.0), 1e-9)) for name in FER7.names] for one in NETWORK]
    network = Predictions.from_logits(
        table.table["id"].tolist(), "heads", "test", TRUTH, logits, FER7, table.table["hash"].tolist()
    )
    found = compare(table, network).consistency
    assert people.consistency(session) == found
    assert (found.n, found.observed, found.expected, found.kappa) == (4, 0.75, 0.5, 0.5)


def test_no_expression_counts_for_none() -> None:
    session = answered(
        "label", {"Ada": ("no face", "happy", "unknown", "sad"), "Ben": ("no face", "sad", "sad", "sad")}
    )
    (table,) = people.predictions(session).values()
    assert table.table["id"].tolist() == ["image-1", "image-2", "image-3"]
    assert table.probs.max(axis=1).tolist() == pytest.approx([0.5, 1, 1])
    rows = people.votes_csv(session).splitlines()
    assert rows[0] == "id,split,angry,disgust,fear,happy,sad,surprise,neutral,unknown,no face"
    assert rows[1] == "image-0,test,0,0,0,0,0,0,0,0,2"


def test_guesses_are_no_predictions_and_an_empty_class_says_so() -> None:
    with pytest.raises(ClassError, match="no predictions"):
        people.predictions(answered("guess"))
    with pytest.raises(ClassError, match="Nobody has answered"):
        people.predictions(answered("read", {}))
    with pytest.raises(ClassError, match="two or more people"):
        people.consensus_of(answered("label", {"Ada": GIVEN["Ada"]}))
    assert len(people.image_by_image(answered("read", {}))) == 4
    assert people.score(answered("read", {})).people == 0


def test_the_consensus_recovers_a_planted_truth_better_than_the_majority() -> None:
    """Three careful people and six who take sad for neutral, disgust for angry and fear for surprise: where they differ, the
    majority follows the bias. CROWDLAB weighs them with a network that is right on 70 %."""
    names, right = list(FER7.names), []
    habits = {"sad": "neutral", "disgust": "angry", "fear": "surprise"}
    for seed in range(5):
        random = np.random.default_rng(seed)
        truth = random.choice(names, 200)
        probs = np.full((200, 7), 0.05)
        seen = np.where(random.random(200) < 0.7, truth, random.choice(names, 200))
        probs[np.arange(200), [names.index(one) for one in seen]] += 0.65
        given = {}
        for rater in range(9):
            careful = rater < 3
            mine = np.where(random.random(200) < (0.92 if careful else 0.75), truth, random.choice(names, 200))
            if not careful:
                mine = np.array([habits.get(one, one) if random.random() < 0.6 else one for one in mine])
            mine = mine.astype(object)
            mine[random.random(200) < 0.5] = np.nan
            given[f"rater {rater}"] = mine
        found = people.consensus(pd.DataFrame(given), names, probs)
        differ = pd.DataFrame(given).nunique(axis=1).to_numpy()[found.images["position"]] > 1
        there = truth[found.images["position"].to_numpy()]
        right.append([(found.images[how] == there)[differ] for how in ("consensus", "majority")])
        best = found.raters.set_index("nickname")["quality"]
        assert best[[f"rater {one}" for one in range(3)]].min() > best[[f"rater {one}" for one in range(3, 9)]].max()
    by_consensus, by_majority = (np.concatenate(part).mean() for part in zip(*right, strict=True))
    assert by_consensus > by_majority + 0.02
