"""A recipe: all settings of a training run, as one validated model. TOML files, the command line's `--set` and the
Train page's form all use it, so the rules are defined once."""

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
TASKS = {  # of FERscope's own recipes, in the order in which somebody needs them
    "first": "First network, on rendered heads",
    "processor": "FER2013, on a processor",
    "gpu": "FER2013, on a GPU",
}
CHOICES = {  # titles of the values of settings that have a few
    "sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "onecycle": "one cycle", "step": "steps", "plateau": "on plateaus",
    "flip": "image and mirror image", "ten-crop": "ten crops", "ten-crop-if-close": "ten crops where the answer is close",
    "fixed": "same for all images", "image": "each image's own", "auto": "automatic", "fp32": "32 bits (fp32)",
    "bf16": "16 bits (bf16)", "fp16": "16 bits (fp16)", "channels_last": "channels last",
}  # fmt: skip


class Section(BaseModel):
    """Base of a recipe's sections: unknown keys are refused, values are checked, nothing is changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class About(Section):
    """Where a recipe comes from and what to expect of it. Changes nothing about the run."""

    title: str = ""
    task: Literal["first", "processor", "gpu", ""] = Field(
        "", description="What it is for; a report's recipe has none."
    )
    usual: bool = Field(False, description="The one to begin with, of its task.")
    source: str = Field("", description="The report or paper that the recipe follows.")
    expected: str = Field("", description="The accuracy that it had here, with its images.")
    reported: str = Field("", description="The result reported there, with its data.")
    cost: str = Field("", description="Training time, with the hardware.")
    report: str = Field("", description="Short name of the report whose table the recipe reproduces.")
    table: str = Field("", description="The table and its row.")
    reported_accuracy: float | None = Field(None, ge=0, le=1, description="The row's accuracy; None if it gives none.")
    reported_on: str = Field("", description="The images on which the accuracy was measured.")
    data: str = Field("", description="The data set it is trained on, by the name in predictions tables.")
    needs: tuple[str, ...] = Field((), description="The data sets that this one is made of, if it is made of others.")
    members: tuple[str, ...] = Field((), description="Of an ensemble: the recipes of its members.")
    differs: str = Field("", description="Why the result is not the reported quantity; empty if it is.")


class Image(Section):
    """The input of the network where it differs from the network's default; empty fields keep the default."""

    channels: Literal[1, 3] | None = Field(
        None, title="Channels", description="1 for grey images, 3 for colour images."
    )
    height: int | None = Field(None, title="Height", ge=16, le=1024, description="Height of the input, in pixels.")
    width: int | None = Field(None, title="Width", ge=16, le=1024, description="Width of the input, in pixels.")
    standardise: Literal["fixed", "image"] | None = Field(
        None,
        title="Standardisation",
        description="fixed: subtract the mean and divide by the deviation given here. image: use each image's own.",
    )
    mean: tuple[float, ...] | None = Field(None, title="Mean", description="Mean of each channel, 0 to 1.")
    std: tuple[float, ...] | None = Field(
        None, title="Standard deviation", description="Standard deviation of each channel, 0 to 1."
    )
    light: tuple[Light, ...] = Field(
        (),
        title="Illumination normalisation",
        description="Steps that reduce differences in light: equalise, clahe, gamma, dog, dct, diffusion.",
    )


class Augment(Section):
    """Random changes of the training images. Each image gets its own parameters, drawn on the device in whole batches."""

    flip: float = Field(0.5, title="Mirroring", ge=0, le=1, description="Probability that an image is mirrored.")
    alternating: bool = Field(
        False,
        title="Alternating mirroring",
        description="Mirror each image in every second epoch instead of at random (airbench, arXiv 2404.00498).",
    )
    rotate: float = Field(
        0.0, title="Rotation", ge=0, le=180, description="Largest rotation in either direction, in degrees."
    )
    scale: float = Field(0.0, title="Scaling", ge=0, lt=1, description="Largest change of size: 0.1 means 0.9 to 1.1.")
    shear: float = Field(0.0, title="Shear", ge=0, le=45, description="Largest shear in either direction, in degrees.")
    translate: float = Field(
        0.0, title="Translation", ge=0, le=0.5, description="Largest shift, as a share of the side."
    )
    brightness: float = Field(
        0.0, title="Brightness", ge=0, le=1, description="Largest change of brightness, as a share of white."
    )
    contrast: float = Field(
        0.0, title="Contrast", ge=0, lt=1, description="Largest change of contrast: 0.2 means 0.8 to 1.2."
    )
    saturation: float = Field(
        0.0, title="Saturation", ge=0, le=1, description="Largest change of saturation, in colour images only."
    )
    erase: float = Field(
        0.0, title="Random erasing", ge=0, le=1, description="Probability that a rectangle is replaced by grey."
    )
    mixup: float = Field(
        0.0, title="Mixup", ge=0, le=10, description="Beta parameter of mixup (arXiv 1710.09412); 0 turns it off."
    )
    cutmix: float = Field(
        0.0, title="CutMix", ge=0, le=10, description="Beta parameter of CutMix (arXiv 1905.04899); 0 turns it off."
    )


class Loss(Section):
    focal: float = Field(
        0.0,
        title="Focal loss",
        ge=0,
        le=10,
        description="Focusing parameter of the focal loss (arXiv 1708.02002), for single labels only; 0 means cross entropy.",
    )
    label_smoothing: float = Field(
        0.0,
        title="Label smoothing",
        ge=0,
        lt=1,
        description="Share of each label's probability that is spread over all expressions.",
    )
    class_weights: tuple[float, ...] | Literal["none", "balanced"] = Field(
        "none",
        title="Class weights",
        description="One weight per expression, or “balanced”: inversely proportional to its number of images.",
    )
    votes: float = Field(
        0.0,
        title="Weight of the votes",
        ge=0,
        le=1,
        description="Share of the voters' answers (FER+) in the target. The label has the rest.",
    )
    teachers: tuple[str, ...] = Field(
        (),
        title="Teachers",
        description="Networks whose mean probabilities are learned too; at temperature 1 as in arXiv 1503.02531.",
    )
    teacher_weight: float = Field(
        0.5,
        title="Weight of the teachers",
        ge=0,
        le=1,
        description="Share of the teachers' probabilities in the target. The label has the rest.",
    )
    teacher_temperature: float = Field(
        1.0,
        title="Temperature of the teachers",
        gt=0,
        le=100,
        description="The teachers' logits are divided by it, this network's are not: softer targets. Hinton et al. divide both.",
    )
    draw: bool = Field(
        False,
        title="Draw one label per epoch",
        description="Learn one label drawn from each image's target, anew in every epoch (FER+'s “probability” mode).",
    )

    @field_validator("class_weights")
    @classmethod
    def _weigh(cls, value: tuple[float, ...] | str) -> tuple[float, ...] | str:
        if isinstance(value, tuple) and (min(value, default=0) < 0 or not any(value)):
            raise ValueError("weights must be at least 0, and one of them above 0")
        return value


class Optimizer(Section):
    name: Literal["sgd", "adam", "adamw"] = Field(
        "sgd", title="Optimiser", description="The rule that updates the weights after each batch."
    )
    lr: float = Field(0.1, title="Learning rate", gt=0, description="The highest learning rate of the run.")
    momentum: float = Field(0.9, title="Momentum", ge=0, lt=1, description="Momentum of SGD (Nesterov).")
    weight_decay: float = Field(
        5e-4, title="Weight decay", ge=0, description="Applies to the weights of convolutions and linear layers."
    )
    clip: float = Field(
        0.0, title="Gradient clipping", ge=0, description="Largest norm of the gradient; 0 turns clipping off."
    )
    sgd_after: float = Field(
        0.0,
        title="Switch to SGD after",
        ge=0,
        lt=1,
        description="Share of the run after which SGD replaces Adam; 0 means never (arXiv 1712.07628).",
    )
    sgd_lr: float = Field(
        0.01,
        title="Learning rate after the switch",
        gt=0,
        description="Learning rate of SGD after the switch, before the schedule's factor.",
    )

    @model_validator(mode="after")
    def _sgd_after_another(self) -> Optimizer:
        if self.sgd_after and self.name == "sgd":
            raise ValueError(
                "sgd_after switches from Adam to SGD, but name = “sgd” uses SGD from the start; set name = “adam”"
            )
        return self


class Schedule(Section):
    name: Literal["constant", "onecycle", "cosine", "step", "plateau"] = Field(
        "onecycle", title="Schedule", description="How the learning rate changes during the run."
    )
    warmup: float = Field(
        0.2,
        title="Warm-up",
        ge=0,
        lt=1,
        description="Share of the run in which the learning rate rises (onecycle, cosine and step).",
    )
    final: float = Field(
        0.01,
        title="Final learning rate",
        ge=0,
        le=1,
        description="Learning rate at the end, as a share of the highest learning rate.",
    )
    factor: float = Field(
        0.5, title="Factor", gt=0, lt=1, description="Plateau and step: the learning rate is multiplied by this factor."
    )
    patience: int = Field(
        5,
        title="Patience",
        ge=1,
        description="Plateau: epochs without a lower validation loss before the learning rate is reduced.",
    )
    milestones: tuple[float, ...] = Field(
        (0.5, 0.75),
        title="Milestones",
        description="Step: the shares of the run at which the learning rate is reduced.",
    )

    @field_validator("milestones")
    @classmethod
    def _within_the_run(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0 <= share < 1 for share in value):
            raise ValueError("expected shares of the run from 0 to below 1, not epochs: of 60 epochs, 0.5 is the 30th")
        return value


class Transfer(Section):
    """The weights that a run starts from, and how they are trained further."""

    weights: str = Field(
        "",
        title="Initial weights",
        description="“imagenet”, a .safetensors or .pt file, or the name of a network or run. Empty: random weights.",
    )
    freeze: float = Field(
        0.0,
        title="Frozen share of the run",
        ge=0,
        le=1,
        description="Share of the run in which only the head is trained; 1 means the whole run. For batch norms see "
        "freeze_norms.",
    )
    backbone_lr: float = Field(
        1.0,
        title="Backbone learning rate factor",
        gt=0,
        le=1e3,
        description="Factor on the learning rate of all layers except the head.",
    )
    freeze_norms: bool = Field(
        False,
        title="Freeze batch norms",
        description="Batch norms outside the head keep their loaded statistics, scales and shifts.",
    )

    @model_validator(mode="after")
    def _of_something(self) -> Transfer:
        changed = sorted(self.model_fields_set & {"freeze", "backbone_lr", "freeze_norms"})
        changed = [key for key in changed if getattr(self, key) != type(self).model_fields[key].default]
        if changed and not self.weights:
            raise ValueError(f"{', '.join(changed)} has no effect without initial weights; set weights")
        return self


class TrainConfig(Section):
    """One experiment. `[about]` apart, every key changes the result."""

    about: About = About()
    network: str = Field("small-vgg", title="Network", description="Architecture to train.")
    arguments: dict[str, Any] = Field(
        default_factory=dict, title="Network arguments", description="Arguments of the architecture, as a TOML table."
    )
    image: Image = Field(default=Image(), title="Image")
    expressions: str = Field("fer7", title="Expressions", description="The expressions that the network predicts.")
    leave_out: tuple[str, ...] = Field(
        (),
        title="Expressions to leave out",
        description="Images with these labels are left out of training, validation and all figures.",
    )
    train_split: str = Field(
        "train", title="Training split", description="The split to train on; “train+val” uses both, for a final run."
    )
    val_split: str = Field(
        "val",
        title="Validation split",
        description="The split that chooses the best epoch, never a test split. Empty: the last epoch is kept.",
    )
    train_share: float = Field(
        1.0,
        title="Share of the training set",
        gt=0,
        le=1,
        description="Share of the training images that is used, at random.",
    )
    epochs: int = Field(12, title="Epochs", ge=1, le=10_000, description="Passes through the training set.")
    batch_size: int = Field(
        128, title="Batch size", ge=2, le=65_536, description="Images from which one step of the optimiser is computed."
    )
    seed: int = Field(
        0, title="Seed", ge=0, lt=2**31, description="Starts the random generator; equal seeds repeat a run."
    )
    loss: Loss = Field(default=Loss(), title="Loss")
    optimizer: Optimizer = Field(default=Optimizer(), title="Optimiser")
    schedule: Schedule = Field(default=Schedule(), title="Schedule")
    transfer: Transfer = Field(default=Transfer(), title="Transfer learning")
    augment: Augment = Field(default=Augment(), title="Augmentation")
    resolution: tuple[tuple[float, int], ...] = Field(
        (),
        title="Progressive resizing",
        description="Pairs of (share of the run, side in pixels): from there on, images have this side.",
    )
    ema: float = Field(
        0.0,
        title="EMA",
        ge=0,
        lt=1,
        description="Decay of the exponential moving average of the weights; 0 keeps the last weights.",
    )
    swa: float = Field(
        0.0,
        title="SWA",
        ge=0,
        lt=1,
        description="Share of the run, at its end, whose weights are averaged equally (arXiv 1803.05407).",
    )
    early_stopping: int = Field(
        0,
        title="Early stopping",
        ge=0,
        description="Epochs without a higher validation accuracy before the run ends; 0 means never.",
    )
    tta: Literal["none", "flip", "ten-crop", "ten-crop-if-close"] = Field(
        "none",
        title="Test-time averaging",
        description="The logits of several views are averaged. flip: the image and its mirror image. ten-crop: five crops "
        "and their mirror images. ten-crop-if-close: ten crops only where the answer of flip is close.",
    )
    device: str = Field(
        "auto",
        title="Device",
        pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$",
        description="Where to train: auto, cpu, mps, cuda, or one GPU, such as cuda:1.",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", title="Precision", description="Number format of the computation; auto takes the fastest safe one."
    )
    memory_format: Literal["auto", "contiguous", "channels_last"] = Field(
        "auto", title="Memory format", description="Order of the dimensions in memory; auto takes the faster one."
    )
    compile: bool = Field(
        False,
        title="Compile",
        description="Compile the network with torch.compile. This pays off in long runs on GPUs.",
    )
    threads: int = Field(
        0, title="Threads", ge=0, le=1024, description="Threads of the processor; 0 takes the default of torch."
    )

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
            raise ValueError("a test split must not choose the best epoch; use val, or split a part off train")
        return value

    @model_validator(mode="after")
    def _left_out_is_not_answered(self) -> TrainConfig:
        known = VOCABULARIES[self.expressions].names
        if both := [name for name in self.leave_out if name in known]:
            raise ValueError(
                f"leave_out names {', '.join(both)}, but expressions = “{self.expressions}” contains it; choose a vocabulary "
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
                f"train_split = “{self.train_split}” overlaps val_split = “{self.val_split}”: training images cannot "
                'choose the epoch; for a final run on both set val_split = ""'
            )
        if not self.val_split and (self.early_stopping or self.schedule.name == "plateau"):
            what = "early_stopping" if self.early_stopping else "schedule.name = “plateau”"
            raise ValueError(
                f"{what} needs a validation split, but val_split is empty; set val_split, or train a fixed number of epochs"
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
            raise ValueError("shares must increase and lie between 0 and below 1")
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
            f"{path} is not valid TOML ({error}); compare it with one of the recipes that `ferscope recipes` lists."
        ) from error
    for setting in settings:
        _apply(values, setting)
    return parse(values, where=str(path))


def recipes() -> dict[str, Path]:
    """The shipped recipes by name."""
    return {path.stem: path for path in sorted(RECIPES.glob("*.toml"))}


def by_task() -> dict[str, list[str]]:
    """The shipped recipes that train a network, by the title of their task, the usual one first; those of reports last."""
    found: dict[str, list[tuple[bool, str]]] = {title: [] for title in TASKS.values()}
    for name, path in recipes().items():
        about = load_recipe(path).about
        if not about.members:
            task = TASKS[about.task] if about.task else f"Reproduce “{about.source}”"
            found.setdefault(task, []).append((not about.usual, name))
    return {task: [name for _, name in sorted(names)] for task, names in found.items()}


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
            raise ConfigError(f"The setting “{setting}”: {section} is a value and cannot contain the key {name}.")
        place = inner
    place[name] = value


def setting_title(key: str) -> str:
    """The label of a setting, “Learning rate” for “optimizer.lr”; an unknown key is its own label."""
    *sections, name = key.split(".")
    model: Any = TrainConfig
    for part in sections:
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Section)):
            return f"Network: {name}" if sections == ["arguments"] else key
        model = field.annotation
    field = model.model_fields.get(name)
    return field.title if field is not None and field.title else key


def choice_title(value: object) -> str:
    """How a setting's value is called: “AdamW” for “adamw”, “0.0316” for 0.0316228, “yes” for true."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3g}" if isinstance(value, float) else CHOICES.get(str(value), str(value))


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
