"""A setting: all of a scene but the person and the expression. Many people with many expressions can be shown in one setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fer_core.heads import Scene, express
from fer_core.heads.actions import Mouth, settled, unpaired
from fer_core.heads.scene import Camera, Light, Pose
from fer_core.lab.answers import person_scene
from fer_core.lab.view import DEFAULT_MARGIN, framed
from fer_core.lab.who import changed


class Shown(NamedTuple):
    """A person in a setting: the scene, and a sentence for each action that had to give way to another."""

    scene: Scene
    notes: list[str]


@dataclass(frozen=True)
class Setting:
    """What is the same for everybody.

    Attributes:
        intensity: of the expression, 0 to 1.
        mouth: open or closed; None as most people show the expression.
        actions: action by ARKit's name, or without a side for both -> -1 to 1, added to what the expression does.
        person: what differs from the person as drawn, as `who.changed` takes it.
        camera: its exposure is added to the one that a person's skin takes.
        margin: of the cut, around mtcnn's box.
    """

    intensity: float = 0.8
    mouth: Mouth | None = None
    actions: Mapping[str, float] = field(default_factory=dict)
    person: Mapping[str, Any] = field(default_factory=dict)
    pose: Pose = field(default_factory=Pose)
    light: Light = field(default_factory=Light)
    camera: Camera = field(default_factory=Camera)
    margin: float = DEFAULT_MARGIN

    def show(self, expression: str, number: int) -> Shown:
        """A person with an expression.

        Args:
            number: of the person, as `person_scene` takes it.

        Raises:
            UnknownName: there is no such expression or action.
            ConfigError: a value is out of its range.
        """
        base = person_scene(number)
        wanted = unpaired(express(expression, self.intensity, mouth=self.mouth))
        for name, change in unpaired(dict(self.actions)).items():
            wanted[name] = min(1.0, max(0.0, wanted.get(name, 0.0) + change))
        done, notes = settled(wanted)
        exposure = max(-3.0, min(3.0, base.camera.exposure + self.camera.exposure))
        scene = Scene(
            person=changed(base.person, dict(self.person)), actions=done, pose=self.pose, light=self.light,
            camera=self.camera.model_copy(update={"exposure": exposure}),
        )  # fmt: skip
        return Shown(framed(scene, self.margin), notes)
