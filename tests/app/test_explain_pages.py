"""Explain and Regions, run in this process."""

import re
from collections.abc import Callable
from functools import wraps
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from fer_core.checkpoint import weights_path
from fer_core.datasets import open_dataset
from fer_core.datasets.known import add
from fer_core.evaluation.intervals import percent
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.explanation import METHODS, region_report
from fer_core.explanation.regions import CORE
from fer_core.faces.template import REGIONS
from fer_core.lab import truth
from fer_core.lab.truth import Truth
from fer_core.labels import FER7
from tests.app.conftest import texts
from tests.app.examples import make_network, make_pictures, predictions_elsewhere, predictions_on
from tests.lab.test_truth import by_hand
from tests.untrained import untrained

Open = Callable[..., AppTest]


def captions(app: AppTest) -> list[str]:
    """What is written below the images of a page."""
    return [caption for image in app.main.get("image") for caption in image.captions]


def spread(names: list[str], value: float) -> dict[str, float]:
    return {name + end: value + step for name in names for end, step in (("", 0.0), ("_low", -0.02), ("_high", 0.02))}


def made_report(folder: Path) -> region_report.RegionReport:
    """A report with made-up figures: the mouth costs 30 points, the background none; saliency is supported, lime not."""
    groups, costs = ["all", *FER7.names], dict.fromkeys(REGIONS, 0.05) | {"mouth": 0.3, "background": -0.01, CORE: 0.4}
    covering = [
        {
            "expression": group,
            "region": region,
            "cover": how,
            "n": 50,
            "area": 0.125,
            "probability": 0.6,
            "accuracy": 0.66,
        }
        | spread(["accuracy_cost", "probability_cost"], costs[region])
        for group, how, region in product(groups, ("blur", "mean", "noise"), costs)
    ]
    regions = [
        {"expression": group, "region": region, "n": 50, "area": 0.125, "method": "grad-cam"}
        | spread(["share"], 0.3 if region == "mouth" else 0.1)
        | spread(["density"], 2.4 if region == "mouth" else 0.8)
        for group, region in product(groups, REGIONS)
    ]
    measures = ["new_head", "half_new", "randomisation", "other_class", "infidelity", "max_sensitivity"]
    methods = [
        {"method": name, "title": title, "control": False, "suits": "", "n": 50, "compared": 2, **spread(measures, 0.2)}
        | spread(["gain", "deletion_gain", "insertion_gain", "over_face", "over_noise"], gain)
        for name, title, gain in (("saliency", "Saliency", 0.1), ("lime", "LIME", 0.0))
    ]
    methods.append(
        {"method": "deep-lift", "title": "DeepLift", "control": False, "suits": "no rule for its gelu", "n": 0}
    )
    means = [
        {"method": method, "expression": name, "n": 50, "y": y, "x": x, "mean": 1.0, "low": 0.9, "high": 1.1}
        for method, name, y, x in product(region_report.REGION_METHODS, FER7.names, range(4), range(4))
    ]
    agreement = pd.DataFrame([{"method": "saliency", "other": "lime", "n": 50, **spread(["correlation"], 0.4)}])
    about = {
        "format": 2, "network": folder.name, "data": "elsewhere", "split": "val", "n": 50, "n_of_split": 210,
        "methods_n": 50, "layer": "stages.3", "seed": 0, "weights": region_report._weights(folder), "seconds": 1.0,
        "verdict": "Eyes, nose and mouth matter, the background does not.",
        "sentences": {"happy": "For happy, covering the mouth costs 30.0 points (28.0 to 32.0)."},
    }  # fmt: skip
    return region_report.RegionReport(
        about, *map(pd.DataFrame, (regions, covering, methods)), agreement, pd.DataFrame(means)
    )


def test_without_a_report_the_page_gives_the_command_that_makes_one(open_page: Open) -> None:
    make_network("bare", predictions_elsewhere())
    app = open_page("regions", network="bare")
    assert not app.exception
    assert any(block.value == "ferscope explain-report bare --data elsewhere --split val" for block in app.code)


def test_a_report_is_shown_with_its_answer_first_and_what_it_says_of_methods(open_page: Open) -> None:
    folder = untrained("measured")
    predictions_elsewhere().write(folder / "predictions-elsewhere-val.parquet")
    region_report.write(folder, made_report(folder))
    app = open_page("regions", network="measured", table="elsewhere-val")
    assert not app.exception
    said = texts(app).replace("\\", "")
    assert "Eyes, nose and mouth matter, the background does not." in said
    assert "50 images of 210, a random sample" in said
    assert "For happy, covering" not in said  # one line of a table each, for the cover that is chosen
    assert re.search(r"all expressions</th>.*?mouth.*?30\.0.*?28\.0 to 32\.0", said, re.DOTALL)
    folded = [one.label for one in app.main.expander]
    assert folded[0] == "The costliest region of each expression"
    assert {"Comparison of the methods", "How attention differs on errors"} <= set(folded)
    assert re.search(r"LIME.*?perturbation.*?not supported", said, re.DOTALL)
    assert said.index(">gradient<") < said.index(">perturbation<")
    assert "attribution is densest in **mouth**" in said
    assert "1 of 2 methods" in said
    assert "DeepLift does not suit this network: no rule for its gelu." in said
    assert "happy, n = 50" in captions(app)
    assert "The images are not on this machine" in said
    assert not app.warning
    assert "mean of its absolute values, so an even map is 1 everywhere" in said
    app.selectbox(key="mean").set_value("integrated-gradients").run()
    assert "mean of its absolute values, so an even map is 1 or −1 everywhere" in texts(app)
    app.selectbox(key="cover").set_value("noise").run()
    assert app.query_params["cover"] == "noise"
    path = weights_path(folder)
    path.write_bytes(path.read_bytes() + b" ")
    app = open_page("regions", network="measured", table="elsewhere-val")
    assert any("weights have changed" in box.value for box in app.warning)


def test_the_maps_of_a_network_are_held_against_what_really_moves(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    @wraps(truth.measure)  # whose settings and name a kept result has
    def found(*settings: object, **more: object) -> Truth:
        return by_hand()

    monkeypatch.setattr(truth, "measure", found)
    untrained("held")
    app = open_page("regions", network="held")
    assert "Not measured yet: held." in texts(app)
    app.button(key="measure").click().run()
    assert not app.exception
    said = texts(app)
    assert "10 faces of 10 rendered people that the network predicts right" in said
    assert re.search(r"Saliency.*?60\.0 \(52\.5 to 67\.5\).*?70\.0 \(39\.7 to 89\.2\).*?\+30\.0", said, re.DOTALL)
    assert re.search(r"centred blob.*?30\.0 \(30\.0 to 30\.0\).*?control", said, re.DOTALL)
    app.selectbox(key="truth-of").set_value("happy").run()
    assert not app.exception
    assert "Not measured yet" not in texts(app)


@pytest.fixture
def explained(tmp_path: Path) -> str:
    """The id of an image of a data set that two networks here have been evaluated on."""
    place = make_pictures(tmp_path / "faces", each=2)
    add(place)
    table = predictions_on(open_dataset(place), "val")
    for name in ("one", "two"):
        table.write(untrained(name) / "predictions-faces-val.parquet")
    return str(table.table["id"].iloc[3])


def test_a_contrast_of_two_networks_is_said_at_every_map_and_the_maps_can_be_saved(
    open_page: Open, explained: str
) -> None:
    app = open_page(
        "explain", network="one", table="faces-val", image=explained, explain="sad", against="happy", beside="two",
        methods="Saliency",
    )  # fmt: skip
    assert not app.exception
    assert not app.error
    shown = [caption for caption in captions(app) if caption.startswith("Saliency")]
    assert len(shown) == 2
    assert all("for sad in contrast to happy" in caption and "%" in caption for caption in shown)
    assert {caption.rpartition(", ")[2] for caption in shown} == {"one)", "two)"}
    assert "Not measured yet whether this map is faithful" in texts(app)
    regions = next(frame.value for frame in app.dataframe if "mouth" in frame.value)
    np.testing.assert_allclose(regions[list(REGIONS)].sum(axis=1), 100, atol=0.01)
    assert app.main.get("download_button")


def test_nothing_is_explained_rather_than_itself(open_page: Open, explained: str) -> None:
    address = {"network": "one", "table": "faces-val", "image": explained, "methods": "Saliency", "explain": "both"}
    app = open_page("explain", **address)
    first, second = (caption.split()[2] for caption in captions(app) if caption.startswith("Saliency"))
    app = open_page("explain", **address, against=second)
    shown = [caption for caption in captions(app) if caption.startswith("Saliency")]
    assert [caption.split(" (")[0] for caption in shown] == [f"Saliency for {first} in contrast to {second}"]
    app = open_page("explain", **{**address, "explain": first}, against=first)
    shown = [caption for caption in captions(app) if caption.startswith("Saliency")]
    assert [caption.split(" (")[0] for caption in shown] == [f"Saliency for {first}"]
    assert app.info[0].value.startswith(f"{first} cannot be contrasted with itself")


def test_a_report_is_the_badge_of_each_map(open_page: Open, explained: str) -> None:
    from fer_core.runs.store import find

    folder = find("one").folder
    region_report.write(folder, made_report(folder))
    app = open_page("explain", network="one", table="faces-val", image=explained, methods="Saliency")
    assert not app.exception
    assert "Strong evidence that this map is faithful" in texts(app)
    assert any("10.0 points" in element.help.replace("\\", "") for element in app.markdown if element.help)


def test_a_map_of_another_layer_is_not_vouched_for_by_a_report_on_one(open_page: Open, explained: str) -> None:
    from fer_core.runs.store import find

    folder = find("one").folder
    report = made_report(folder)
    report.methods.loc[0, ["method", "title"]] = ["grad-cam", "Grad-CAM"]
    region_report.write(folder, report)  # on layer stages.3
    said = {
        layer: texts(open_page("explain", network="one", table="faces-val", image=explained, layer=layer))
        for layer in ("stages.3", "stages.1")
    }
    assert "Strong evidence that this map is faithful" in said["stages.3"]
    assert "Not measured yet whether this map is faithful" in said["stages.1"]


def test_a_weak_map_has_a_scale_of_its_own_unless_one_is_shared(open_page: Open, explained: str) -> None:
    address = {"network": "one", "table": "faces-val", "image": explained, "explain": "both"}
    limits = []
    for shared in ("false", "true"):
        app = open_page("explain", **address, **{"shared-scale": shared})
        assert not app.exception
        scales = [caption for caption in captions(app) if caption.startswith("Scale 0 to ")]
        assert len(scales) == 2
        assert all("maximum of this map" in caption for caption in scales)
        limits.append({caption.split("(")[0] for caption in scales})
    assert len(limits[0]) == 2
    assert len(limits[1]) == 1


def test_the_confidence_of_an_image_is_the_same_on_explain_and_in_the_gallery(open_page: Open, tmp_path: Path) -> None:
    place = make_pictures(tmp_path / "faces", each=2)
    add(place)
    folder = untrained("warm", temperature=0.3)
    predictions, _ = predict_checkpoint(folder, open_dataset(place), "val")
    image = str(predictions.table["id"].iloc[3])
    words = texts(open_page("explain", network="warm", table="faces-val", image=image))
    confidence = re.search(r"with a confidence of ([\d.]+)", words)
    assert confidence is not None
    app = open_page("gallery", network="warm", table="faces-val", outcome="all", text=image)
    assert f"{confidence[1]}\N{NO-BREAK SPACE}%" in texts(app)


def test_the_mean_maps_of_two_networks_and_their_difference_are_shown(open_page: Open, explained: str) -> None:
    app = open_page("regions", network="one", table="faces-val", beside="two", shown="sad")
    app.toggle(key="compute-networks").set_value(True).run()
    assert not app.exception
    assert not app.error
    assert "on the same 2 images" in texts(app)
    mine, other, _, difference, _ = captions(app)[-5:]
    assert (mine, other, difference) == ("one", "two", "difference")
    assert f"{percent(0)} of the pixels are coloured; chance alone would colour about 5 %" in texts(
        app
    )  # equal weights
    again = open_page("regions", network="one", table="faces-val", **{"compute-networks": "true"})
    assert again.toggle(key="compute-networks").value  # a reload, or a link, shows them too


def test_methods_are_picked_by_kind_and_a_saved_link_names_them_as_before(open_page: Open, explained: str) -> None:
    app = open_page("explain", network="one", table="faces-val", image=explained, methods="Saliency")
    rows = [group for group in app.main.button_group if (group.key or "").startswith("methods-")]
    assert [row.label for row in rows] == ["Methods: class activation", "Methods: gradient", "Methods: perturbation"]
    assert [row.value for row in rows] == [[], ["Saliency"], []]
    assert sum(len(row.options) for row in rows) == len(METHODS.names())
    rows[2].set_value(["Occlusion"]).run()
    assert {
        caption.split()[0]
        for caption in captions(app)
        if " for sad (" in caption or " for " in caption.partition("(")[0]
    } == {"Saliency", "Occlusion"}
