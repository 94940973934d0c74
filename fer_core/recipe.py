"""A recipe: everything that changes a training run, as one checked model. A TOML file, the command line's `--set` and
the Train page's form all fill this model, so that what is allowed is said once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fer_core.errors import ConfigError, UnknownName
from fer_core.faces.illumination import Light
from fer_core.labels import COLOURS, VOCABULARIES, canonical
from fer_core.untrusted import is_file, parse_toml, read_text

RECIPES = Path(__file__).with_name("recipes")


class Section(BaseModel):
    """Base of a recipe's sections: unknown keys are refused, values are checked, nothing is changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class About(Section):
    """Where a recipe comes from and what to expect of it. Changes nothing about the run."""

    title: str = ""
    source: str = Field("", description="The report or paper it follows.")
    reported: str = Field("", description="The figure reported there, with its data.")
    cost: str = Field("", description="Time it took, and on what.")
    report: str = Field("", description="Short name of the report of which it repeats a row of a table.")
    table: str = Field("", description="That table, and the row in it.")
    reported_accuracy: float | None = Field(None, ge=0, le=1, description="The row's accuracy; None: it has none.")
    reported_on: str = Field("", description="The pictures that the accuracy was measured on.")
    data: str = Field("", description="The set it is trained on, by the name in predictions tables.")
    needs: tuple[str, ...] = Field((), description="The sets that one is made of, where it is made of others.")
    members: tuple[str, ...] = Field((), description="An ensemble: the recipes whose networks vote.")
    differs: str = Field("", description="Why its figure is another quantity than the reported one; empty: it is not.")


class Image(Section):
    """The network's input where it differs from the network's own; empty fields keep the network's."""

    channels: Literal[1, 3] | None = None
    height: int | None = Field(None, ge=16, le=1024)
    width: int | None = Field(None, ge=16, le=1024)
    standardise: Literal["fixed", "image"] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    light: tuple[Light, ...] = Field(
        (),
        description="Steps that even out the light, at the network's size: equalise, clahe, gamma, dog, dct, diffusion.",
    )


class Augment(Section):
    """What happens to a training picture. Each picture gets its own parameters, drawn on the device in whole batches."""

    flip: float = Field(0.5, ge=0, le=1, description="Probability of a mirror image.")
    alternating: bool = Field(
        False,
        description="Mirror each picture in every second epoch instead of at random (airbench, arXiv 2404.00498).",
    )
    rotate: float = Field(0.0, ge=0, le=180, description="Largest rotation, degrees either way.")
    scale: float = Field(0.0, ge=0, lt=1, description="Largest change of size: 0.1 is 0.9 to 1.1.")
    shear: float = Field(0.0, ge=0, le=45, description="Largest shear, degrees either way.")
    translate: float = Field(0.0, ge=0, le=0.5, description="Largest shift, as a share of the side.")
    brightness: float = Field(0.0, ge=0, le=1, description="Largest change of brightness, as a share of white.")
    contrast: float = Field(0.0, ge=0, lt=1, description="Largest change of contrast: 0.2 is 0.8 to 1.2.")
    saturation: float = Field(0.0, ge=0, le=1, description="Largest change of saturation; colour pictures only.")
    erase: float = Field(0.0, ge=0, le=1, description="Probability that a rectangle is covered by grey.")
    mixup: float = Field(0.0, ge=0, le=10, description="Beta parameter of mixup (arXiv 1710.09412); 0 does not mix.")
    cutmix: float = Field(0.0, ge=0, le=10, description="Beta parameter of CutMix (arXiv 1905.04899); 0 does not mix.")


class Loss(Section):
    focal: float = Field(
        0.0, ge=0, le=10, description="Focusing parameter of the focal loss (arXiv 1708.02002); 0 is cross entropy."
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of each label spread over all expressions.")
    class_weights: tuple[float, ...] | Literal["none", "balanced"] = Field(
        "none", description="One weight an expression, or “balanced”: inversely to its count."
    )
    votes: float = Field(
        0.0, ge=0, le=1, description="Share of the voters' answers (FER+) in the target, the label's is the rest."
    )
    teachers: tuple[str, ...] = Field(
        (), description="Networks whose mean probabilities are learned too (distillation, arXiv 1503.02531)."
    )
    teacher_weight: float = Field(
        0.5, ge=0, le=1, description="Share of the teachers in the target, the label's is the rest."
    )
    teacher_temperature: float = Field(1.0, gt=0, le=100, description="The teachers' logits are divided by it.")

    @field_validator("class_weights")
    @classmethod
    def _weigh(cls, value: tuple[float, ...] | str) -> tuple[float, ...] | str:
        if isinstance(value, tuple) and (min(value, default=0) < 0 or not any(value)):
            raise ValueError("a weight may not be below 0, and one has to be above it")
        return value


class Optimizer(Section):
    name: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: float = Field(0.1, gt=0, description="Learning rate at its highest.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum (Nesterov) of SGD.")
    weight_decay: float = Field(5e-4, ge=0, description="Decay of the weights of convolutions and linear layers.")
    clip: float = Field(0.0, ge=0, description="Largest norm of the gradient; 0 does not clip.")
    sgd_after: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the run after which SGD takes over from Adam; 0 never (arXiv 1712.07628).",
    )
    sgd_lr: float = Field(0.01, gt=0, description="Learning rate of that SGD, before the schedule's factor.")

    @model_validator(mode="after")
    def _sgd_after_another(self) -> Optimizer:
        if self.sgd_after and self.name == "sgd":
            raise ValueError(
                "sgd_after changes from Adam to SGD, and name = “sgd” is SGD from the start; set name = “adam”"
            )
        return self


class Schedule(Section):
    name: Literal["constant", "onecycle", "cosine", "step", "plateau"] = "onecycle"
    warmup: float = Field(
        0.2, ge=0, lt=1, description="Share of the run in which the learning rate rises; of onecycle, cosine and step."
    )
    final: float = Field(0.01, ge=0, le=1, description="Learning rate at the end, as a share of the highest.")
    factor: float = Field(0.5, gt=0, lt=1, description="Plateau and step: the learning rate is multiplied by this.")
    patience: int = Field(5, ge=1, description="Plateau: epochs without a better validation loss before that.")
    milestones: tuple[float, ...] = Field((0.5, 0.75), description="Step: shares of the run at which that happens.")

    @field_validator("milestones")
    @classmethod
    def _within_the_run(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 <= share < 1 for share in value):
            raise ValueError("expected shares of the run in 0 to below 1, not epochs: of 60 epochs, 0.5 is the 30th")
        return value


class Transfer(Section):
    """Weights that a run starts from, and how they are let go on learning."""

    weights: str = Field(
        "",
        description="Start: “imagenet”, a .safetensors or .pt file, or the name of a network or run; empty is a fresh start.",
    )
    freeze: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of the run in which only the head learns; 1 is all of it. For batch norms see freeze_norms.",
    )
    backbone_lr: float = Field(1.0, gt=0, le=1e3, description="Factor on the learning rate of all but the head.")
    freeze_norms: bool = Field(
        False, description="Batch norms of all but the head keep the statistics, scales and shifts that they came with."
    )

    @model_validator(mode="after")
    def _of_something(self) -> Transfer:
        changed = sorted(self.model_fields_set & {"freeze", "backbone_lr", "freeze_norms"})
        changed = [key for key in changed if getattr(self, key) != type(self).model_fields[key].default]
        if changed and not self.weights:
            raise ValueError(
                f"{', '.join(changed)} without weights: there is nothing loaded that it could hold; set weights"
            )
        return self


class TrainConfig(Section):
    """One experiment. `[about]` apart, every key changes the result."""

    about: About = About()
    network: str = Field("small-vgg", description="Name in the registry of networks.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Arguments of the network.")
    image: Image = Image()
    expressions: str = Field("fer7", description="Vocabulary of the outputs.")
    leave_out: tuple[str, ...] = Field(
        (), description="Expressions whose pictures are left out of training, validation and every figure."
    )
    train_split: str = Field("train", description="What is trained on; “train+val” takes both parts, for a final fit.")
    val_split: str = Field(
        "val", description="What chooses the best epoch, never a test split; empty: nothing does, the last one is kept."
    )
    train_share: float = Field(1.0, gt=0, le=1, description="Share of the training pictures that is taken, at random.")
    epochs: int = Field(12, ge=1, le=10_000)
    batch_size: int = Field(128, ge=2, le=65_536)
    seed: int = Field(0, ge=0, lt=2**31)
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    schedule: Schedule = Schedule()
    transfer: Transfer = Transfer()
    augment: Augment = Augment()
    resolution: tuple[tuple[float, int], ...] = Field(
        (), description="Progressive resizing: (share of the run, side in pixels) from which pictures are that small."
    )
    ema: float = Field(
        0.0, ge=0, lt=1, description="Decay of the moving average of the weights; 0 takes the last ones."
    )
    swa: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of the run, at its end, whose weights are averaged equally (arXiv 1803.05407).",
    )
    early_stopping: int = Field(
        0, ge=0, description="Epochs without a better validation accuracy before it ends; 0 never."
    )
    tta: Literal["none", "flip", "ten-crop"] = Field(
        "none", description="Average of the logits of picture and mirror image, or of five crops and theirs."
    )
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    compile: bool = Field(False, description="Compile the network with torch.compile; pays on GPUs, in long runs.")
    threads: int = Field(0, ge=0, le=1024, description="Threads of the processor; 0 takes torch's own choice.")

    @field_validator("expressions")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in VOCABULARIES:
            raise ValueError(str(UnknownName("vocabulary", value, VOCABULARIES)).rstrip("."))
        return value

    @field_validator("val_split")
    @classmethod
    def _no_choice_on_test(cls, value: str) -> str:
        if "test" in value.split("+"):
            raise ValueError("a test split may not choose the best epoch; take val, or carve a part from train")
        return value

    @model_validator(mode="after")
    def _left_out_is_not_answered(self) -> TrainConfig:
        known = VOCABULARIES[self.expressions].names
        if both := [name for name in self.leave_out if name in known]:
            raise ValueError(
                f"leave_out names {', '.join(both)}, which expressions = “{self.expressions}” answers; take a vocabulary "
                "without it"
            )
        if unknown := [name for name in self.leave_out if canonical(name) != name]:
            raise ValueError(
                f"leave_out names {', '.join(unknown)}, expected names of expressions: {', '.join(COLOURS)}"
            )
        return self

    @field_validator("train_split")
    @classmethod
    def _parts(cls, value: str) -> str:
        parts = value.split("+")
        if not all(part == part.strip() and part for part in parts) or len(set(parts)) < len(parts):
            raise ValueError("expected a split, or different ones joined by +, as train+val")
        return value

    @model_validator(mode="after")
    def _nothing_chooses_on_what_it_learned(self) -> TrainConfig:
        if set(self.val_split.split("+")) & set(self.train_split.split("+")):
            raise ValueError(
                f"train_split = “{self.train_split}” overlaps val_split = “{self.val_split}”: pictures that were learned cannot "
                'choose the epoch; for a final fit on both set val_split = ""'
            )
        if not self.val_split and (self.early_stopping or self.schedule.name == "plateau"):
            what = "early_stopping" if self.early_stopping else "schedule.name = “plateau”"
            raise ValueError(
                f"{what} looks at the validation part, and val_split is empty; take a fixed number of epochs"
            )
        return self

    @model_validator(mode="after")
    def _one_average(self) -> TrainConfig:
        if self.ema and self.swa:
            raise ValueError("ema and swa both average the weights; set one of them to 0")
        return self

    @field_validator("resolution")
    @classmethod
    def _rising(cls, value: tuple[tuple[float, int], ...]) -> tuple[tuple[float, int], ...]:
        shares = [share for share, _ in value]
        if shares != sorted(shares) or any(not 0 <= share < 1 for share in shares):
            raise ValueError("shares must rise and lie in 0 to below 1")
        if any(side < 16 for _, side in value):
            raise ValueError("a side must be at least 16 pixels")
        return value


def load_recipe(source: str | Path, settings: Iterable[str] = ()) -> TrainConfig:
    """Read a recipe by name or path and apply `key=value` settings (`optimizer.lr=0.05`).

    Raises:
        ConfigError: unreadable TOML, an unknown key, a value out of range; each named with what is allowed.
    """
    path = recipes().get(str(source), Path(source))
    if not is_file(path):
        raise UnknownName("recipe", str(source), recipes())
    try:
        values = parse_toml(read_text(path))
    except ValueError as error:
        raise ConfigError(
            f"{path} is no valid TOML ({error}); compare it with a recipe of `ferscope recipes`."
        ) from error
    for setting in settings:
        _apply(values, setting)
    return parse(values, where=str(path))


def recipes() -> dict[str, Path]:
    """The shipped recipes by name."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}


def parse(values: dict[str, Any], where: str = "the recipe") -> TrainConfig:
    """Check a recipe's values.

    Raises:
        ConfigError: all that is wrong, each with its key.
    """
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{where}: {'; '.join(_explain(values, e) for e in error.errors())}.") from error


def _explain(values: dict[str, Any], error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"] if isinstance(part, str) and "[" not in part)
    if error["type"] == "extra_forbidden":
        section: Any = TrainConfig
        for part in error["loc"][:-1]:
            section = section.model_fields[part].annotation
        where = ".".join(error["loc"][:-1])
        return str(
            UnknownName(f"key in [{where}]" if where else "recipe key", error["loc"][-1], section.model_fields)
        ).rstrip(".")
    if not key:
        return str(error["msg"].removeprefix("Value error, "))
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error" and isinstance(error["input"], dict):  # of several keys of a section
        return f"[{key}] {message}"
    return f"{key} = {error['input']!r}: {message}"


def _apply(values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals:
        raise ConfigError(f"The setting “{setting}” has no value; write key=value, as in optimizer.lr=0.05.")
    try:
        value = parse_toml(f"value = {text.strip()}")["value"]
    except ValueError:
        value = text.strip()  # a bare word is a string
    *sections, name = key.strip().split(".")
    place = values
    for section in sections:
        inner = place.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"The setting “{setting}”: {section} is a value and has no key {name}.")
        place = inner
    place[name] = value


def to_toml(config: TrainConfig) -> str:
    """The recipe as TOML, with only what differs from the defaults; reading it back gives an equal recipe."""
    return tomli_w.dumps(config.model_dump(mode="json", exclude_defaults=True))


def toml_value(value: Any) -> str:
    """A value as TOML writes it, on one line; sweeps name their choices so, and old sweeps are found by these names."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {toml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(inner) for inner in value) + "]"
    return tomli_w.dumps({"_": value}).removeprefix("_ = ").removesuffix("\n")


def _toml_key(key: str) -> str:
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")
