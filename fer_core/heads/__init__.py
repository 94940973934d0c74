"""Rendered heads: faces whose actions, person, light and camera are known.

    from fer_core.heads import Scene, draw_person, express, render

    scene = Scene(person=draw_person(seed=1), actions=express("happy"))
    image = render([scene], 192, colour=True)[0]

`render` makes images, `regions` and `moved` tell what each pixel shows and what an action does to it.
"""

from fer_core.heads.actions import EXPRESSIONS, express
from fer_core.heads.areas import REGIONS
from fer_core.heads.people import draw_person
from fer_core.heads.renderer import moved, regions, render
from fer_core.heads.scene import HeadWarning, Person, Scene

__all__ = [
    "EXPRESSIONS",
    "REGIONS",
    "HeadWarning",
    "Person",
    "Scene",
    "draw_person",
    "express",
    "moved",
    "regions",
    "render",
]
