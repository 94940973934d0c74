"""What the workbench keeps between two reruns. Every `@st.cache_*` is here, bounded, and keyed by what it was read from:
a file's path and time, so that a file written anew is read anew."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard import hover_image
from fer_core.checkpoint import card_stamp, weights_path
from fer_core.datasets import Dataset, name_of, open_dataset, summary
from fer_core.datasets.cache import is_cached
from fer_core.datasets.duplicates import Duplicates, duplicates_of
from fer_core.datasets.heads import HEADS
from fer_core.datasets.known import known, resolve
from fer_core.datasets.votes import CHOICES, have_votes, rows_of_votes, shipped_votes
from fer_core.errors import DataError
from fer_core.evaluation import embedding
from fer_core.evaluation import label_issues as issues
from fer_core.evaluation.calibration import with_temperature
from fer_core.evaluation.comparison import Comparison, McNemar, compare, leaderboard, mcnemar_exact
from fer_core.evaluation.gallery import positions
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import EvaluationReport, Headline, evaluate, headline
from fer_core.evaluation.shift import picture_statistics
from fer_core.experiments.sweep_folder import SweepFolder
from fer_core.explanation import Attribution, contrasts, cover, spatial_layers
from fer_core.explanation import region_report as reports
from fer_core.explanation.figure import figure_of
from fer_core.explanation.means import Band
from fer_core.explanation.served import explain_as_served
from fer_core.faces import Face, FaceCrop
from fer_core.heads import Scene, moved, render
from fer_core.images import ImageSpec, decode
from fer_core.lab import answers as asked
from fer_core.reports.decision import Decision, decide
from fer_core.runs.store import Checkpoint
from fer_core.serving.predictor import Predictor
from fer_core.workspace import home

T = TypeVar("T")
LEAST_SHARE = 0.5  # of a table's images, from which a set of another name is shown with it


def predictions(path: Path) -> Predictions:
    """A predictions table; shared between sessions, so not to be changed."""
    return _predictions(path, path.stat().st_mtime_ns)


@st.cache_resource(max_entries=16, show_spinner="Reading the predictions")
def _predictions(path: Path, mtime: int) -> Predictions:
    return Predictions.read(path)


def served(network: Checkpoint, key: str) -> Predictions:
    """A predictions table with the confidence that the network is served with, its temperature applied, so that an image has
    the same on every page; shared between sessions, so not to be changed."""
    path = network.tables[key]
    return _served(path, path.stat().st_mtime_ns, network.card.temperature or 1.0)


@st.cache_resource(max_entries=16, show_spinner="Reading the predictions")
def _served(path: Path, mtime: int, temperature: float) -> Predictions:
    return with_temperature(_predictions(path, mtime), temperature)


def report(path: Path) -> EvaluationReport:
    """All figures of a predictions table; shared between sessions, so not to be changed."""
    return _report(path, path.stat().st_mtime_ns)


@st.cache_resource(max_entries=256, show_spinner="Computing the figures and their intervals")
def _report(path: Path, mtime: int) -> EvaluationReport:
    return evaluate(Predictions.read(path))


def headlines(tables: Mapping[str, Path]) -> dict[str, Headline]:
    """Accuracy, macro-F1 and balanced accuracy of many tables by name; a table that cannot be read is left out."""
    found = {}
    for name, path in tables.items():
        try:
            found[name] = _headline(path, path.stat().st_mtime_ns)
        except (DataError, OSError):  # one damaged table does not take the others away; its own page says what is wrong
            continue
    return found


@st.cache_resource(max_entries=1024, show_spinner="Reading the networks' figures")
def _headline(path: Path, mtime: int) -> Headline:
    return headline(Predictions.read(path))


def standings(tables: Mapping[str, Path]) -> pd.DataFrame:
    """The leaderboard of networks by the paths of their tables; shared between sessions, so not to be changed.

    Raises:
        DataError: they share no image.
    """
    return _standings(tuple((name, path, path.stat().st_mtime_ns) for name, path in sorted(tables.items())))


@st.cache_resource(max_entries=16, show_spinner="Comparing all networks")
def _standings(tables: tuple[tuple[str, Path, int], ...]) -> pd.DataFrame:
    return leaderboard({name: Predictions.read(path) for name, path, _ in tables})


def pair_tests(tables: Mapping[str, Path], first: str) -> dict[str, McNemar]:
    """The test of one network against each other one, on the images that the two share; those that share none are left out."""
    return _pair_tests(tuple((name, path, path.stat().st_mtime_ns) for name, path in sorted(tables.items())), first)


@st.cache_resource(max_entries=64, show_spinner="Comparing all networks")
def _pair_tests(tables: tuple[tuple[str, Path, int], ...], first: str) -> dict[str, McNemar]:
    read = {name: Predictions.read(path) for name, path, _ in tables}
    found = {}
    for name, other in read.items():
        try:
            if name != first:
                found[name] = mcnemar_exact(read[first], other)
        except DataError:
            continue
    return found


def comparison(a: Checkpoint, b: Checkpoint, key: str) -> Comparison:
    """Two networks on a predictions table that both have; shared between sessions, so not to be changed.

    Raises:
        DataError: they share no image.
    """
    one, other = (
        (str(network.tables[key]), network.tables[key].stat().st_mtime_ns, network.card.temperature or 1.0)
        for network in (a, b)
    )
    return _comparison(one, other, served(a, key), served(b, key))


@st.cache_resource(max_entries=32, show_spinner="Comparing the two networks")
def _comparison(a: tuple[str, int, float], b: tuple[str, int, float], _a: Predictions, _b: Predictions) -> Comparison:
    return compare(_a, _b)


def decision(a: Checkpoint, b: Checkpoint, key: str) -> Decision:
    """Two networks held side by side on a predictions table that both have; shared between sessions.

    Raises:
        DataError: they share no image.
    """
    times = tuple(path.stat().st_mtime_ns for network in (a, b) for path in sorted(network.folder.iterdir()))
    return _decision(a.folder, b.folder, key, times, a, b)


@st.cache_resource(max_entries=16, ttl=300, show_spinner="Comparing the two networks")
def _decision(a: Path, b: Path, key: str, times: tuple[int, ...], _a: Checkpoint, _b: Checkpoint) -> Decision:
    return decide(_a, _b, key, dataset_of(_a.predictions(key)))


def dataset(place: str) -> Dataset:
    """A data set by its name among the known ones; entries that cannot be read are left out and listed in `skipped`.

    Kept for a minute only: a change in a folder of thousands of files shows nowhere but in the files.
    """
    return _dataset(place, home())  # a name may mean something else in another student's workspace


@st.cache_resource(max_entries=24, ttl=60, show_spinner="Opening the data set (the first time takes a while)")
def _dataset(place: str, home: Path) -> Dataset:
    try:
        return open_dataset(place)  # a training has mostly read it this way already
    except DataError:
        return open_dataset(place, on_bad="skip")


def is_here(key: str) -> bool:
    """Whether this machine knows a data set of the name that a table's key has; no images are opened."""
    name = key.rpartition("-")[0]
    for place in (HEADS, *known()):
        try:
            if name_of(place) == name:
                return True
        except DataError:  # its files are gone
            continue
    return False


def dataset_of(table: Predictions) -> Dataset | None:
    """The data set that holds the images of a predictions table, or None if this machine knows none.

    It is told by the images: the set of the table's name if it has any of them, else another that was opened before and
    has at least half of them. An older table is joined by its numbers, and only where the labels agree.
    """
    place = place_of(table)
    try:
        return None if place is None or not resolve(place) else dataset(place)
    except DataError:  # its files are gone
        return None


def place_of(table: Predictions) -> str | None:
    """The name by which commands open the data set of a predictions table, or None if this workspace does not know it."""
    return _place_of(table.fingerprint, tuple((name, str(path)) for name, path in known().items()), table)


@st.cache_data(max_entries=64, ttl=60, show_spinner=False)
def _place_of(content: str, places: tuple[tuple[str, str], ...], _table: Predictions) -> str | None:
    """The known data set that has most of a table's images."""
    name = str(_table.table["dataset"].iloc[0])
    best, most = None, (False, 0.0)
    for place in (HEADS, *(place for place, _ in places)):
        try:
            own = name_of(place) == name
            if not own and not (_table.has_hashes and is_cached(*resolve(place))):
                continue
            share = float((positions_of(_table, dataset(place)) >= 0).mean())
        except DataError:  # its files are gone
            continue
        if share and (own or share >= LEAST_SHARE) and (own, share) > most:
            best, most = place, (own, share)
        if most == (True, 1.0):
            break
    return best


def positions_of(table: Predictions, source: Dataset) -> NDArray[np.int64]:
    """(n,) row of each image of a table in a data set, -1 where it is not there; shared, so not to be changed."""
    return _positions_of(table.fingerprint, str(source.folder), table, source)


@st.cache_resource(max_entries=64, show_spinner=False)
def _positions_of(content: str, folder: str, _table: Predictions, _source: Dataset) -> NDArray[np.int64]:
    return positions(_source, _table.table)


def duplicates(dataset: Dataset) -> Duplicates:
    """The images of a data set that occur twice; shared between sessions, so not to be changed."""
    return _duplicates(str(dataset.folder), dataset)


@st.cache_resource(max_entries=8, show_spinner="Looking for images that occur twice (about ten seconds for 36,000)")
def _duplicates(folder: str, _dataset: Dataset) -> Duplicates:
    return duplicates_of(_dataset)


def mean_faces(dataset: Dataset, split: str) -> dict[str, NDArray[np.uint8]]:
    """The mean image of each expression of a split."""
    return _mean_faces(str(dataset.folder), split, dataset)


@st.cache_data(max_entries=16, show_spinner="Averaging the faces")
def _mean_faces(folder: str, split: str, _dataset: Dataset) -> dict[str, NDArray[np.uint8]]:
    return summary.mean_faces(_dataset, split)


def votes(dataset: Dataset) -> pd.DataFrame | None:
    """FER+'s votes for each image of a data set, missing where it has none; None for a set without any."""
    if not have_votes(dataset.index, dataset.name):
        return None
    return _votes(str(dataset.folder), dataset)


@st.cache_resource(max_entries=4, show_spinner="Reading the votes")
def _votes(folder: str, _dataset: Dataset) -> pd.DataFrame:
    rows = rows_of_votes(_dataset.index, _dataset.name)
    counts = shipped_votes()[list(CHOICES)].reset_index(drop=True)
    return counts.reindex(pd.Index(np.where(rows >= 0, rows, -1))).reset_index(drop=True)


def label_issues(path: Path) -> pd.DataFrame:
    """The labels of a predictions table that are probably wrong; shared between sessions, so not to be changed."""
    return _label_issues(path, path.stat().st_mtime_ns)


@st.cache_resource(max_entries=16, show_spinner="Looking for labels that are probably wrong (cleanlab)")
def _label_issues(path: Path, mtime: int) -> pd.DataFrame:
    return issues.label_issues(_predictions(path, mtime))


def statistics(dataset: Dataset, rows: tuple[int, ...]) -> pd.DataFrame:
    """Brightness, contrast and sharpness of some of a data set's images, a row each, in this order."""
    return _statistics(str(dataset.folder), rows, dataset)


@st.cache_data(max_entries=8, show_spinner="Measuring brightness, contrast and sharpness")
def _statistics(folder: str, rows: tuple[int, ...], _dataset: Dataset) -> pd.DataFrame:
    return picture_statistics(_dataset.picture(row) for row in rows)


def features(path: Path) -> NDArray[np.float32]:
    """Kept features (N, D); shared between sessions, so not to be changed."""
    return _features(path, path.stat().st_mtime_ns)


@st.cache_resource(max_entries=8, show_spinner="Reading the features")
def _features(path: Path, mtime: int) -> NDArray[np.float32]:
    kept: NDArray[np.float32] = np.load(path)
    return kept


@st.cache_data(max_entries=16, show_spinner="Looking at each face's neighbours")
def purity(path: Path, rows: tuple[int, ...], labels: tuple[str, ...]) -> tuple[float, float]:
    """How far kept features of one label lie together; the path names their content."""
    return embedding.purity(features(path)[list(rows)], labels)


@st.cache_data(max_entries=16, show_spinner="Laying out the map (t-SNE takes about a minute for 3,500 images, once)")
def plane(path: Path, rows: tuple[int, ...], method: str) -> embedding.Plane:
    """The map of some kept features, “pca” or “tsne”; the path names their content."""
    if method == "tsne":
        return embedding.tsne_of(path, np.array(rows, dtype=np.int64))
    return embedding.pca(features(path)[list(rows)])


def sheet(dataset: Dataset, spec: ImageSpec, rows: tuple[int, ...]) -> str:
    """Images of a data set, as a network is given them, as one image for `peek`."""
    return _sheet(str(dataset.folder), repr(spec), rows, dataset, spec)


@st.cache_data(max_entries=4, show_spinner="Reading the images")
def _sheet(folder: str, name: str, rows: tuple[int, ...], _dataset: Dataset, _spec: ImageSpec) -> str:
    return hover_image.sheet(_dataset.images(_spec)[list(rows)])


def predictor(folder: Path) -> Predictor:
    """A network ready to predict; shared between sessions, several of which may use it at once."""
    return _predictor(folder, weights_path(folder).stat().st_mtime_ns, card_stamp(folder))  # a new temperature too


@st.cache_resource(max_entries=4, show_spinner="Loading the network (the first one takes a few seconds)")
def _predictor(folder: Path, mtime: int, card: int) -> Predictor:
    return Predictor(folder)


def head(scene: Scene, side: int) -> NDArray[np.uint8]:
    """A rendered head in colour, (side, side, 3)."""
    return _head(scene.model_dump_json(), side)


@st.cache_data(max_entries=256, show_spinner=False)
def _head(scene: str, side: int) -> NDArray[np.uint8]:
    image: NDArray[np.uint8] = render([Scene.model_validate_json(scene)], side, colour=True)[0]
    return image


def moved_by(scene: Scene, action: str, side: int) -> NDArray[np.bool_]:
    """The pixels that an action of a head really moves or shades, (side, side)."""
    return _moved_by(scene.model_dump_json(), action, side)


@st.cache_data(max_entries=256, show_spinner=False)
def _moved_by(scene: str, action: str, side: int) -> NDArray[np.bool_]:
    return moved(Scene.model_validate_json(scene), action, side)


def answer(folder: Path, scene: Scene) -> tuple[NDArray[np.uint8], dict[str, float]]:
    """The head as a network is given it, and its probability of each expression."""
    return _answer(folder, weights_path(folder).stat().st_mtime_ns, card_stamp(folder), scene.model_dump_json())


@st.cache_data(max_entries=256, show_spinner=False)
def _answer(folder: Path, mtime: int, card: int, scene: str) -> tuple[NDArray[np.uint8], dict[str, float]]:
    return asked.answer(predictor(folder).members[0], Scene.model_validate_json(scene))


def layers(folder: Path) -> dict[str, tuple[int, int]]:
    """The layers of a network that a map can be made of, with the (height, width) of their maps."""
    return _layers(folder, weights_path(folder).stat().st_mtime_ns)


@st.cache_data(max_entries=64, show_spinner=False)
def _layers(folder: Path, mtime: int) -> dict[str, tuple[int, int]]:
    known = predictor(folder)
    return spatial_layers(known.model, known.card.image)


def faces(photo: bytes, framing: FaceCrop) -> list[Face]:
    """The faces of an uploaded photo, the largest first."""
    return _faces(photo, framing.model_dump_json())


@st.cache_data(max_entries=32, show_spinner="Looking for faces")
def _faces(photo: bytes, framing: str) -> list[Face]:
    return FaceCrop.model_validate_json(framing).find(decode(photo))


def maps(
    folder: Path,
    picture: NDArray[np.uint8],
    targets: tuple[str, ...],
    method: str,
    layer: str | None,
    *,
    against: str | None = None,
    **parameters: object,
) -> Attribution:
    """The maps of one method for one image, one a target (names of expressions), or each rather than `against`."""
    mtime = weights_path(folder).stat().st_mtime_ns
    return _maps(folder, mtime, picture, targets, against, method, layer, parameters)


@st.cache_data(max_entries=256, show_spinner="Computing the maps")
def _maps(
    folder: Path, mtime: int, picture: NDArray[np.uint8], targets: tuple[str, ...], against: str | None, method: str,
    layer: str | None, parameters: dict[str, Any],
) -> Attribution:  # fmt: skip
    known = predictor(folder)
    images = np.repeat(picture[None], len(targets), axis=0)
    return explain_as_served(known.model, known.card, images, targets, method, layer, against=against, **parameters)


def covered(folder: Path, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The probabilities of an image with each of its parts covered, for one network."""
    return _covered(folder, weights_path(folder).stat().st_mtime_ns, card_stamp(folder), picture)


@st.cache_data(max_entries=64, show_spinner="Covering the parts of the image")
def _covered(folder: Path, mtime: int, card: int, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    network = predictor(folder).members[0]
    return cover.covered(network.probs, picture)


def explanation_report(path: Path) -> reports.RegionReport:
    """What was measured of a network's looks; shared between sessions, so not to be changed."""
    return _explanation_report(path, path.stat().st_mtime_ns)


@st.cache_resource(max_entries=16, show_spinner="Reading the report")
def _explanation_report(path: Path, mtime: int) -> reports.RegionReport:
    return reports.read(path)


def cell_maps(
    network: Checkpoint, key: str, given: str, taken: str, method: str, layer: str
) -> tuple[Band, Band, Band]:
    """Mean maps of the given expression where it is taken for another, where it is recognised, and their difference.

    Args:
        key: of the predictions table, whose images are on this machine.
    """
    path = network.tables[key]
    times = weights_path(network.folder).stat().st_mtime_ns, path.stat().st_mtime_ns
    return _cell_maps(network.folder, path, times, given, taken, method, layer)


@st.cache_data(max_entries=16, show_spinner="Making the maps of both cells (they are kept on disk)")
def _cell_maps(
    folder: Path, path: Path, times: tuple[int, int], given: str, taken: str, method: str, layer: str
) -> tuple[Band, Band, Band]:
    known, table = predictor(folder), predictions(path)
    return contrasts.of_two_cells(known.model, known.card, table, _source(table), given, taken, method, layer)


def _source(table: Predictions) -> Dataset:
    data = dataset_of(table)
    if data is None:
        raise DataError("The images of this table are not on this machine; add the data set on the Data page.")
    return data


def network_maps(
    one: Checkpoint, other: Checkpoint, key: str, given: str, method: str, most: int
) -> tuple[int, Band, Band, Band]:
    """How many images of an expression, at most `most`; the mean map of each of two networks; and their difference.

    Each network is asked for the given expression at its own layer; the second one's maps are brought to the first
    one's size.

    Args:
        key: of the predictions table of the first network, whose images are on this machine.
    """
    path = one.tables[key]
    times = tuple(file.stat().st_mtime_ns for file in (weights_path(one.folder), weights_path(other.folder), path))
    return _network_maps(one.folder, other.folder, path, times, given, method, most)


@st.cache_data(max_entries=16, show_spinner="Making the maps of both networks (they are kept on disk)")
def _network_maps(
    one: Path, other: Path, path: Path, times: tuple[int, ...], given: str, method: str, most: int
) -> tuple[int, Band, Band, Band]:
    table, both = predictions(path), (predictor(one), predictor(other))
    networks = [(known.model, known.card) for known in both]
    return contrasts.of_two_networks(networks, table, _source(table), given, method, most)


def figure_of_cases(network: Checkpoint, key: str, layer: str) -> NDArray[np.uint8]:
    """The image (H, W, 3) with a right and a wrong case of each expression of a predictions table."""
    path = network.tables[key]
    times = weights_path(network.folder).stat().st_mtime_ns, path.stat().st_mtime_ns
    return _figure_of_cases(network.folder, path, times, layer)


@st.cache_data(max_entries=8, show_spinner="Drawing the figure")
def _figure_of_cases(folder: Path, path: Path, times: tuple[int, int], layer: str) -> NDArray[np.uint8]:
    known, table = predictor(folder), predictions(path)
    return figure_of(known.model, known.card, table, _source(table), layer)


def importance(sweep: Path) -> dict[str, float]:
    """How much each setting of a sweep matters; computed anew when another trial has ended."""
    return _importance(sweep, (sweep / "journal.log").stat().st_mtime_ns)


@st.cache_data(max_entries=32, show_spinner="Computing what matters")
def _importance(sweep: Path, mtime: int) -> dict[str, float]:
    return SweepFolder(sweep).importance()
