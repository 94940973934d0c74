"""Two networks held side by side: the rule's choice, planted weaknesses, and what is not known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from statsmodels.stats.contingency_tables import mcnemar
from torch import nn

from fer_core.checkpoint import load_network
from fer_core.datasets import Dataset, open_dataset
from fer_core.datasets.leaks import shipped_leaks
from fer_core.errors import DataError, UnknownName
from fer_core.evaluation.predictions import Predictions
from fer_core.labels import FER7
from fer_core.reports.decision import Decision, decide, multiply_adds
from fer_core.runs.store import Checkpoint, find
from tests.untrained import untrained

BEST, SMALL = "fer2013-best", "mini-xception"


@pytest.fixture(scope="module")
def shipped() -> Decision:
    return decide(find(BEST), find(SMALL), "fer2013-val")


def test_accuracy_without_the_images_of_training_decides(shipped: Decision) -> None:
    assert shipped.verdict.startswith("Choose Small VGG (long)")
    everything, clean = shipped.findings[:2]
    assert clean.topic == "Accuracy without the 377 images that also occur in training"
    leaked = set(shipped_leaks("fer2013", "val")["id"])
    tables = [find(name).predictions("fer2013-val") for name in (BEST, SMALL)]
    kept = ~tables[0].table["id"].isin(leaked).to_numpy()
    a, b = (table.correct[kept] for table in tables)
    assert clean.a.startswith(f"{100 * a.mean():.1f}\N{NO-BREAK SPACE}%")
    assert f"{100 * (b.mean() - a.mean()):+.1f} points" in clean.difference
    counts = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    assert clean.p == pytest.approx(mcnemar(counts, exact=True).pvalue)
    assert "72.1\N{NO-BREAK SPACE}%" in everything.a


def test_what_is_not_known_is_listed(shipped: Decision) -> None:
    told = " ".join(shipped.unknown)
    assert "What mini-Xception looks at" in told
    assert "The best epoch was chosen on these images" in told
    assert "the images are not on this machine" in told
    assert "people they will be used on" in told


def test_the_page_for_sign_off_holds_verdict_and_findings(shipped: Decision) -> None:
    page = shipped.html()
    for text in (shipped.verdict, "without the 377 images", "What is not known", "mini-Xception"):
        assert text in page
    assert "http" not in page.replace("http-equiv", "")  # it asks no server for anything


@pytest.fixture(scope="module")
def faces() -> Dataset:
    return open_dataset("heads")


def network(
    name: str, faces: Dataset, right: np.ndarray, title: str = "", widths: tuple[int, ...] = (4, 4)
) -> Checkpoint:
    """A network with a table on the heads' validation set that is right where it is said to be."""
    folder = untrained(name, title=title or name, arguments={"widths": list(widths)})
    index = faces.index.iloc[faces.rows("val")]
    label = index["label"].map(FER7.names.index).to_numpy()
    logits = 3 * np.eye(7)[np.where(right, label, (label + 1) % 7)]
    table = Predictions.from_logits(index["id"], "heads", "val", index["label"], logits, FER7, hashes=index["hash"])
    table.write(folder / "predictions-heads-val.parquet")
    return find(name)


def test_networks_of_one_accuracy_are_not_ranked_by_it_and_the_cheaper_one_is_preferred(faces: Dataset) -> None:
    right = np.random.default_rng(0).random(315) < 0.7
    large = network("large", faces, right, widths=(16, 16))
    small = network("small", faces, right[::-1], widths=(4, 4))
    assert multiply_adds(small.folder) < multiply_adds(large.folder)
    for pair in ((large, small), (small, large)):
        found = decide(*pair, "heads-val", faces)
        assert found.verdict == "The accuracies do not differ significantly. Prefer small: it needs less computation."
    same = decide(large, network("other", faces, right, widths=(16, 16)), "heads-val", faces)
    assert same.verdict == "The accuracies do not differ significantly, and both need the same computation."
    assert same.findings[0].p == 1


def test_multiply_adds_are_those_of_each_convolution_and_linear_layer_times_the_views() -> None:
    folder = untrained("counted", arguments={"widths": [4, 6]}, tta="none")
    model, card = load_network(folder)
    counted = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal counted
        if isinstance(module, nn.Conv2d):
            counted += output.numel() * module.in_channels * module.kernel_size[0] * module.kernel_size[1]
        elif isinstance(module, nn.Linear):
            counted += module.in_features * module.out_features

    for module in model.modules():
        module.register_forward_hook(count)
    model(torch.zeros(1, card.image.channels, card.image.height, card.image.width))
    assert multiply_adds(folder) == counted
    assert multiply_adds(untrained("ten", arguments={"widths": [4, 6]}, tta="ten-crop")) == 10 * counted


def test_where_the_computation_is_not_known_no_network_is_called_equal_in_it(
    faces: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = np.ones(315, bool)
    pair = network("traced", faces, right), network("plain", faces, right)
    for one in pair:  # as a network of onnxruntime, whose operations torch does not see
        monkeypatch.setattr("torch.utils.flop_counter.FlopCounterMode.get_total_flops", lambda counter: 0)
        assert multiply_adds(one.folder) is None
    found = decide(*pair, "heads-val", faces)
    assert (
        found.verdict == "The accuracies do not differ significantly, and how much computation they need is not known."
    )
    assert any(line.startswith("How much computation") for line in found.unknown)


def test_a_network_that_fails_on_one_group_is_found_out(faces: Dataset) -> None:
    sex = faces.index.iloc[faces.rows("val")]["sex"].to_numpy()
    first = sorted(set(sex))[0]
    right = np.random.default_rng(1).random(315) < np.where(sex == first, 0.4, 0.95)
    found = decide(network("unfair", faces, right), network("fair", faces, np.ones(315, bool)), "heads-val", faces)
    assert found.verdict.startswith("Choose fair.")
    group = next(one for one in found.findings if one.topic.startswith("Group of people"))
    assert group.a.startswith({"female": "women", "male": "men"}[first])
    assert "p < 0.001" in group.a
    assert "expected 100.0\N{NO-BREAK SPACE}%" in group.b


def test_a_title_is_no_markup(faces: Dataset) -> None:
    right = np.ones(315, bool)
    made = network("plain", faces, right), network("rude", faces, ~right, title="<script>alert(1)</script>")
    assert "<script>" not in decide(*made, "heads-val", faces).html()


def test_one_network_twice_and_a_missing_table_are_refused(faces: Dataset, workspace: Path) -> None:
    one = find(BEST)
    with pytest.raises(DataError, match="expected two different networks"):
        decide(one, one, "fer2013-val")
    with pytest.raises(UnknownName, match="fer2013-test"):
        decide(one, find(SMALL), "fer2013-test")
