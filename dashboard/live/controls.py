"""The settings above the tabs, shared by all of them: networks, face detector, averaging, threshold and overlay."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gradio as gr

from fer_core.checkpoint import card_stamp, weights_path
from fer_core.errors import ConfigError, UnknownName
from fer_core.faces import detectors_here
from fer_core.runs import store
from fer_core.serving.predictor import LoadedNetwork, Predictor

AVERAGING = [
    ("Network's default", "card"),
    ("Image and mirror image", "flip"),
    ("Ten crops", "ten-crop"),
    ("Ten crops where the answer is close", "ten-crop-if-close"),
    ("None", "none"),
]
SURE = 0.4
MOST = 8  # networks whose probabilities can be averaged
PRESENT = "(networks) => { togglePresentation(); return [networks.slice(0, 1)]; }"  # a presentation shows one network
NO_NETWORK = "There is no network yet. Train one on the workbench's Train page, or with “ferscope train”."
NONE_CHOSEN = "No network is selected. Select one above."


@dataclass(frozen=True)
class Chosen:
    """The components of the settings."""

    networks: gr.Dropdown
    detector: gr.Dropdown
    averaging: gr.Dropdown
    sure: gr.Slider
    look: gr.Checkbox

    @property
    def predicting(self) -> list[gr.Dropdown | gr.Slider]:
        """The inputs of a prediction, in the order in which the handlers take them."""
        return [self.networks, self.detector, self.averaging, self.sure]


def draw() -> Chosen:
    with gr.Row(elem_classes="settings"):
        networks = gr.Dropdown(
            choices(),
            multiselect=True,
            label="Networks (several: average of their probabilities)",
            scale=4,
            max_choices=MOST,
        )
        look = gr.Checkbox(label="Show Grad-CAM overlay", scale=2, min_width=220)
        present = gr.Button("Present (F)", size="md", scale=0, min_width=140, elem_classes="present")
    with gr.Accordion("Face detector, averaging and threshold", open=False, elem_classes="more"), gr.Row():
        detector = gr.Dropdown(
            [(title, name) for name, title in detectors_here().items()], value="mtcnn", label="Face detector", scale=2
        )
        averaging = gr.Dropdown(AVERAGING, value="card", label="Test-time averaging", scale=2)
        sure = gr.Slider(0, 0.95, SURE, step=0.05, label="“Not sure” below", scale=2, elem_classes="sure")
    present.click(None, networks, networks, js=PRESENT, api_visibility="private")
    return Chosen(networks, detector, averaging, sure, look)


def tta(averaging: str) -> str | None:
    """The `tta` argument of `Predictor.predict` for a value of `AVERAGING`."""
    return None if averaging == "card" else averaging


def choices() -> list[tuple[str, str]]:
    """(label, name) of each network, shipped ones first."""
    return [(f"{network.card.title} ({name})", name) for name, network in store.checkpoints().items()]


def refreshed(request: gr.Request) -> gr.Dropdown:
    """The networks that exist when a page is opened. The address (?network=NAME) may select one."""
    known = choices()
    names = [name for _, name in known]
    asked = request.query_params.get("network")
    return gr.Dropdown(known, value=[asked] if asked in names else names[:1])


_loading = threading.Lock()


def predictor(networks: Sequence[str] | None) -> Predictor:
    """The networks, ready to predict together. They are loaded at the first use, and again when their files change.

    Raises:
        ConfigError: none is selected, or they cannot predict together.
        UnknownName: there is no network of that name. A path to a folder is refused too.
        CheckpointError: its files cannot be read.
    """
    return Predictor.of(*map(_loaded, unique(networks)))


def unique(networks: Sequence[str] | None) -> list[str]:
    """The selected networks, each once.

    Raises:
        ConfigError: none is selected, more than `MOST` are, or it is not a list of names (scripts may send anything).
    """
    if not networks:
        raise ConfigError(NONE_CHOSEN if choices() else NO_NETWORK)
    if not isinstance(networks, list | tuple) or not all(isinstance(name, str) for name in networks):
        raise ConfigError('Networks must be a list of names, such as ["small-vgg"].')
    found = list(dict.fromkeys(networks))
    if len(found) > MOST:
        raise ConfigError(f"{len(found):,} networks are too many; select at most {MOST}.")
    return found


def _loaded(name: str) -> LoadedNetwork:
    if Path(name).name != name:
        raise UnknownName("network", name, store.checkpoints())
    folder = store.find(name).folder
    stamps = (card_stamp(folder), weights_path(folder).stat().st_mtime_ns)
    with _loading:  # of two requests at once, one loads
        return _network(folder, stamps)


@lru_cache(maxsize=2 * MOST)  # each is loaded once, in whatever combination
def _network(folder: Path, stamps: tuple[int, ...]) -> LoadedNetwork:
    return LoadedNetwork.of(folder)
