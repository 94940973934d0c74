"""A checkpoint: a folder with `card.json` and weights as safetensors. The card has everything needed to use the weights
as they were trained: expressions in order, image size, channels, normalisation, face crop.

A run folder is a checkpoint too, once its best weights are written.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fer_core import workspace
from fer_core.durations import duration
from fer_core.errors import CheckpointError, FerError, UnknownName, shortened
from fer_core.faces import FOR_PHOTOS, FaceCrop
from fer_core.images import ImageSpec
from fer_core.labels import Expressions
from fer_core.untrusted import read_json, reason
from fer_core.workspace import home, write_atomically

if TYPE_CHECKING:  # a page that reads cards must not import torch
    import torch
    from torch import nn

FORMAT = 1
WEIGHTS = ("weights.safetensors", "best.safetensors")
UNKNOWN = "not known"  # the data of a network that was trained elsewhere
PREDICTIONS = "predictions"  # in the place of an architecture: of this network only predictions were imported
CALIBRATION = "calibration.json"  # a temperature fitted here for a network whose own folder is only read
MOST_TENSORS = 20_000  # of a weights file; the largest network here has about 1,000
LARGEST_HEADER = 8 * 2**20  # bytes of the names, types and places of a weights file's tensors; safetensors reads 100 MB

_FORMER = {"detector": "mtcnn", "margin": -0.06, "align": "none", "side": 0}  # how older cards of crops frame photos

Count = Annotated[int, Field(ge=0)]
Line = Annotated[str, Field(max_length=500)]  # a name or a short sentence; a page shows it whole


class Cost(BaseModel):
    """The cost of a training."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    cpu_minutes: float = Field(ge=0, description="Processor time of all threads.")
    wall_minutes: float = Field(ge=0)
    device: Line
    images_per_second: float = Field(ge=0)

    @property
    def time(self) -> str:
        """The time used for comparisons: processor time of all threads, “21 min of CPU time”, or wall-clock time on a GPU."""
        minutes, of = (self.cpu_minutes, "CPU") if "processor" in self.device else (self.wall_minutes, "GPU")
        return f"{duration(60 * minutes)} of {of} time"


class Start(BaseModel):
    """Which weights a training started from. Tensors are counted without those that only count batches.

    Attributes:
        matched: number of tensors that were taken.
        adapted: of those, the ones brought to another number of colour channels.
        missing: not in the file; they started fresh, as did the next two.
        reshaped: of another shape in the file: name to “file's shape for the network's”.
        skipped: outputs for other expressions.
        unexpected: in the file, not in the network.
    """

    model_config = ConfigDict(extra="forbid")

    source: str
    matched: int = Field(ge=0)
    adapted: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    reshaped: dict[str, str] = {}
    skipped: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """“120 tensors taken from imagenet (…); 2 missing (…); …”, with the first three names of each kind."""
        parts = [f"{self.matched:,} tensors taken from {self.source}"]
        for words, names in (
            ("adapted to the image's channels", self.adapted),
            ("missing there", self.missing),
            ("of another shape", [f"{name} {shapes}" for name, shapes in self.reshaped.items()]),
            ("for other expressions, not taken", self.skipped),
            ("unexpected", self.unexpected),
        ):
            if names:
                shown = ", ".join(list(names)[:3]) + (", …" if len(names) > 3 else "")
                parts.append(f"{len(names):,} {words} ({shown})")
        return "; ".join(parts)


class Card(BaseModel):
    """All that is known about a network's weights."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: int = FORMAT
    name: Line
    title: Line
    network: Line
    arguments: dict[str, Any] = {}
    parameters: Count
    expressions_name: Line
    expressions: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(min_length=2, max_length=1000)
    image: ImageSpec
    face: FaceCrop
    tta: Literal["none", "flip", "ten-crop", "ten-crop-if-close"] = "none"
    leave_out: tuple[str, ...] = Field((), description="Labels whose images it was not made for: in no figure.")
    temperature: float | None = Field(None, gt=0, description="Fitted on the validation set; None: not fitted.")
    data: Line
    train_images: Count
    chosen_on: Line
    best_epoch: Count
    start: Start | None = Field(None, description="Weights that the training started from; None: fresh ones.")
    epochs: Count
    seed: int
    recipe: dict[str, Any]
    versions: dict[str, str]
    cost: Cost
    created: Line
    results: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="“<data set>-<split>” to the figures of that predictions table."
    )

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not name or name.startswith(".") or set(name) & set("/\\:") or not name.isprintable():
            raise ValueError("expected a folder's name, without a path")
        return name

    @field_validator("expressions")
    @classmethod
    def _each_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names) or not all(name.isprintable() for name in names):
            raise ValueError("expected printable words, each once")
        return names

    @field_validator("recipe")
    @classmethod
    def _of_its_members(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        members = recipe.get("members", {})
        if not isinstance(members, dict) or not all(isinstance(one, dict) for one in members.values()):
            raise ValueError("members: expected a recipe by each member's name")
        for member in members.values():
            cls._of_its_members(member)
        return recipe

    @field_validator("results")
    @classmethod
    def _counted(cls, results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for key, figures in results.items():
            if not isinstance(n := figures.get("n", 0), int) or n < 0:
                raise ValueError(f"{key}: n = {shortened(repr(n))}, expected a count")
        return results

    @model_validator(mode="before")
    @classmethod
    def _framed_as_now(cls, values: Any) -> Any:
        """Cards of networks that learned crops got one framing for photos, whichever it was in the version at hand."""
        if isinstance(values, dict) and isinstance(image := values.get("image"), dict):
            own = image.get("preparation")
            if values.get("face") == _FORMER and (own is None or own.get("detector") == "none"):
                return values | {"face": FOR_PHOTOS.model_dump()}
        return values

    @property
    def imported(self) -> bool:
        """Whether it was trained elsewhere, so that epochs, seed and cost are not known."""
        return "imported" in self.recipe

    @property
    def vocabulary(self) -> Expressions:
        return Expressions(self.expressions_name, self.expressions)

    @property
    def recipes(self) -> tuple[dict[str, Any], ...]:
        """All recipes that made it: its own, or those of an ensemble's members, which may be ensembles too."""
        return _recipes(self.recipe)

    @property
    def chosen_epoch(self) -> str:
        """“44 of 50”; of an ensemble that each member has its own; “–” where it was trained elsewhere."""
        if self.imported:
            return "–"
        return "each its own" if "members" in self.recipe else f"{self.best_epoch} of {self.epochs}"

    @property
    def seeds(self) -> str:
        """“14”; of an ensemble those of its members, “14, 13, 11”."""
        if self.imported:
            return "–"
        own = [str(recipe.get("seed", 0)) for recipe in self.recipes]
        return ", ".join(own) if "members" in self.recipe else str(self.seed)


def _recipes(recipe: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    if "members" not in recipe:
        return (recipe,)
    return tuple(one for member in recipe["members"].values() for one in _recipes(member))


def read_card(folder: Path) -> Card:
    """The card of a checkpoint.

    Raises:
        CheckpointError: no card, a damaged one, or one of another version of the program: another format, or a network,
            detector or setting that this version does not know.
    """
    path = folder / "card.json"
    if not path.is_file():
        found = ", ".join(sorted(entry.name for entry in folder.iterdir())[:6]) if folder.is_dir() else "no such folder"
        raise CheckpointError(
            f"{folder} is not a checkpoint: expected card.json and weights, found {found or 'an empty folder'}; "
            "name a folder under checkpoints/ or a run that has finished an epoch."
        )
    try:
        values = read_json(path)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            version = values.get("format") if isinstance(values, dict) else type(values).__name__
            raise CheckpointError(
                f"{path} has the format {version!r}, this version of FERscope reads {FORMAT}; "
                "use the version that wrote it, or train the recipe again."
            )
        return _recalibrated(folder, Card.model_validate(values))
    except CheckpointError:
        raise
    except UnknownName as error:
        raise CheckpointError(f"{path} needs something that this version of FERscope does not have: {error}") from error
    except (ValueError, FerError, OSError) as error:
        raise CheckpointError(f"{path} is damaged ({reason(error)}); copy the checkpoint again.") from error


def card_stamp(folder: Path) -> int:
    """When the result of `read_card` last changed, in nanoseconds: the card, or a temperature fitted in this
    workspace."""
    return max(path.stat().st_mtime_ns for path in (folder / "card.json", *written(folder, CALIBRATION)))


def place_for(folder: Path) -> Path:
    """Where results about a network are written: beside its weights if they are in the workspace, otherwise in the
    workspace's `evaluations/<name>/<weights>/`. The program's own folder, and any other outside the workspace, is only
    read.

    `<weights>` is made from the weights, so that two networks of one name, or two versions of one, are told apart.

    Raises:
        CheckpointError: the folder holds no weights.
    """
    here = folder.resolve()
    if here.is_relative_to(home().resolve()) and not here.is_relative_to(workspace.CHECKPOINTS.resolve()):
        return folder
    return home() / "evaluations" / here.name / weights_digest(folder)[:12]


def written(folder: Path, pattern: str, *, here_first: bool = False) -> list[Path]:
    """Files about a network, in alphabetical order: those beside its weights, and those that were computed here.

    Args:
        here_first: of two with one name take the one that was computed here, not the one beside the weights.
    """
    computed = {}
    if (home() / "evaluations" / folder.resolve().name).is_dir():  # else nothing was, and no weights need be read
        try:
            computed = {path.name: path for path in place_for(folder).glob(pattern)}
        except CheckpointError:  # without weights nothing can be computed of it
            computed = {}
    beside = {path.name: path for path in folder.glob(pattern)}
    found = beside | computed if here_first else computed | beside
    return [found[name] for name in sorted(found)]


def weights_digest(folder: Path) -> str:
    """SHA-256 of a checkpoint's weights file, in hexadecimal digits; read again only when the file has changed.

    Raises:
        CheckpointError: there are none.
    """
    path = weights_path(folder)
    stat = path.stat()
    return _digest(path, stat.st_mtime_ns, stat.st_size)


@cache
def _digest(path: Path, mtime: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep_temperature(folder: Path, temperature: float) -> Path:
    """Store a fitted temperature: in the card if the network is in the workspace, otherwise in a file that `read_card`
    also reads."""
    place = place_for(folder)
    if place == folder:
        write_card(folder, read_card(folder).model_copy(update={"temperature": temperature}))
        return folder / "card.json"
    write_atomically(place / CALIBRATION, (json.dumps({"temperature": temperature}) + "\n").encode())
    return place / CALIBRATION


def _recalibrated(folder: Path, card: Card) -> Card:
    """The card with the temperature that was fitted in this workspace, if one was."""
    for path in written(folder, CALIBRATION, here_first=True):
        try:
            values = card.model_dump() | {"temperature": read_json(path)["temperature"]}
            card = Card.model_validate(values)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is damaged ({reason(error)}); delete it and calibrate again.") from error
    return card


def write_card(folder: Path, card: Card) -> None:
    write_atomically(folder / "card.json", (card.model_dump_json(indent=2) + "\n").encode())


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write named tensors as one safetensors file, atomically."""
    from safetensors.torch import save

    write_atomically(path, save(_on_the_cpu(tensors), metadata))


def _on_the_cpu(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Contiguous ones. Those of a GPU come over as one copy of each type, because every copy waits for the device."""
    import torch

    here = {key: value.detach() for key, value in tensors.items()}
    for dtype in {value.dtype for value in here.values() if value.is_cuda}:
        away = {key: value for key, value in here.items() if value.is_cuda and value.dtype == dtype}
        copied = torch.cat([value.reshape(-1) for value in away.values()]).cpu()
        parts = torch.split(copied, [value.numel() for value in away.values()])
        here |= {key: part.view(away[key].shape) for key, part in zip(away, parts, strict=True)}
    return {key: value.cpu().contiguous() for key, value in here.items()}


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Named tensors of a safetensors file on the CPU, and its metadata.

    Raises:
        CheckpointError: missing, damaged, or not a safetensors file (a pickle is never opened).
    """
    from safetensors import SafetensorError, safe_open

    try:
        _refuse_a_crowd(path)
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no intact safetensors file ({error}); a pickled .pt file is never opened, "
            "and a damaged file has to be copied again."
        ) from error


def _refuse_a_crowd(path: Path) -> None:
    """Check a file's header before loading: 300,000 empty tensors fit into 20 MB and take half a minute."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LARGEST_HEADER:
            raise ValueError(f"its header has {length:,} bytes, at most {LARGEST_HEADER:,} are read")
        tensors = file.read(length).count(b"data_offsets")
    if tensors > MOST_TENSORS:
        raise ValueError(f"it holds {tensors:,} tensors, at most {MOST_TENSORS:,} are read")


def weights_path(folder: Path) -> Path:
    """The weights of a checkpoint or run folder.

    Raises:
        CheckpointError: there are none; a pickle lying there is named and not opened.
    """
    for name in WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    if (folder / "card.json").is_file() and read_card(folder).network == PREDICTIONS:
        raise CheckpointError(
            f"Of {folder.name} only the predictions were imported, so there is no network that could predict or be explained. "
            "Import the network itself: ferscope import network FILE."
        )
    pickles = [entry.name for entry in folder.glob("*") if entry.suffix in (".pt", ".pth", ".pkl", ".bin", ".ckpt")]
    hint = (
        f"; {', '.join(pickles)} holds a pickle and is not opened, convert it to safetensors first" if pickles else ""
    )
    raise CheckpointError(f"{folder} holds no {' or '.join(WEIGHTS)}{hint}.")


def load_network(folder: Path, device: str = "cpu") -> tuple[nn.Module, Card]:
    """A checkpoint's network in evaluation mode, with its card.

    Raises:
        CheckpointError: no card or weights, or weights that do not fit the network the card names.
    """
    from fer_core.models import build

    card = read_card(folder)
    path = weights_path(folder)
    model = build(card.network, classes=len(card.expressions), spec=card.image, arguments=card.arguments)
    tensors, _ = load_tensors(path)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        detail = " ".join(str(error).split())[:300]
        raise CheckpointError(
            f"{path} does not fit {card.network} with {card.arguments or 'its defaults'} ({detail}); "
            "weights and card must come from the same training."
        ) from error
    return model.to(device).eval(), card
