"""The choices above the tabs, which all of them share: networks, detector, overlay, averaging, and when it is not sure."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gradio as gr
from gradio.components import Component

from fer_core.checkpoint import card_stamp, weights_path
from fer_core.errors import ConfigError, UnknownName
from fer_core.faces import detectors_here
from fer_core.runs import store
from fer_core.serving.predictor import LoadedNetwork, Predictor

AVERAGING = [
    ("as the card says", "card"),
    ("with the mirror image", "flip"),
    ("ten crops", "ten-crop"),
    ("the picture alone", "none"),
]
SURE = 0.4
MOST = 8  # networks that answer together
NO_NETWORK = "There is no network yet: train one first, on the workbench's Train page or with “ferscope train”."
NONE_CHOSEN = "No network is chosen; choose one above."


@dataclass(frozen=True)
class Chosen:
    """The components of the choices."""

    networks: gr.Dropdown
    detector: gr.Dropdown
    averaging: gr.Dropdown
    sure: gr.Slider
    look: gr.Checkbox

    @property
    def predicting(self) -> list[Component]:
        """What a prediction depends on, in the order in which handlers take it."""
        return [self.networks, self.detector, self.averaging, self.sure]


def draw() -> Chosen:
    with gr.Row():
        networks = gr.Dropdown(
            choices(), multiselect=True, label="Networks (several answer together)", scale=4, max_choices=MOST
        )
        detector = gr.Dropdown(
            [(title, name) for name, title in detectors_here().items()], value="mtcnn", label="Faces found by", scale=2
        )
        averaging = gr.Dropdown(AVERAGING, value="card", label="Averaged", scale=2)
        sure = gr.Slider(0, 0.95, SURE, step=0.05, label="Not sure below", scale=2, elem_classes="sure")
        look = gr.Checkbox(label="Show what the network looks at (Grad-CAM)", scale=2, min_width=220)
    return Chosen(networks, detector, averaging, sure, look)


def tta(averaging: str) -> str | None:
    """What `Predictor.predict` takes for a choice of `AVERAGING`."""
    return None if averaging == "card" else averaging


def choices() -> list[tuple[str, str]]:
    """(what people read, name) of each network, shipped ones first."""
    return [(f"{network.card.title} ({name})", name) for name, network in store.checkpoints().items()]


def refreshed(request: gr.Request) -> gr.Dropdown:
    """The networks that are there when a page is opened; the address (?network=NAME) may choose one."""
    known = choices()
    names = [name for _, name in known]
    asked = request.query_params.get("network")
    return gr.Dropdown(known, value=[asked] if asked in names else names[:1])


_loading = threading.Lock()


def predictor(networks: Sequence[str] | None) -> Predictor:
    """Networks ready to predict together; loaded when first used, and again when their files are written anew.

    Raises:
        ConfigError: none is chosen, or they cannot answer together.
        UnknownName: there is no network of that name; the path of a folder is not taken.
        CheckpointError: its files cannot be read.
    """
    return Predictor.of(*map(_loaded, unique(networks)))


def unique(networks: Sequence[str] | None) -> list[str]:
    """The chosen networks, each once.

    Raises:
        ConfigError: none is chosen, more than `MOST`, or no list of names: scripts may send anything.
    """
    if not networks:
        raise ConfigError(NONE_CHOSEN if choices() else NO_NETWORK)
    if not isinstance(networks, list | tuple) or not all(isinstance(name, str) for name in networks):
        raise ConfigError('Networks are given as a list of names, as in ["small-vgg"].')
    found = list(dict.fromkeys(networks))
    if len(found) > MOST:
        raise ConfigError(f"{len(found):,} networks are too many to answer together; choose up to {MOST}.")
    return found


def _loaded(name: str) -> LoadedNetwork:
    if Path(name).name != name:
        raise UnknownName("network", name, store.checkpoints())
    folder = store.find(name).folder
    stamps = (card_stamp(folder), weights_path(folder).stat().st_mtime_ns)
    with _loading:  # of two that ask at once, one loads
        return _network(folder, stamps)


@lru_cache(maxsize=2 * MOST)  # each once, however they are combined
def _network(folder: Path, stamps: tuple[int, ...]) -> LoadedNetwork:
    return LoadedNetwork.of(folder)
