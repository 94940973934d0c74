"""How long rendered heads take, printed as ratios to the rasterising alone, which any machine shares.

    python -m tests.benchmarks.heads

Intel Xeon with AMX, one core of two that others used too: an image of 48 x 48 with four samples a pixel takes about 18 ms, of
which the surface and the shadow map take 4 to 5 ms; one changed action at 192 x 192 about 95 ms.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from fer_core.heads import Scene, draw_person, express, light, render, renderer
from fer_core.heads import mesh as parts
from fer_core.heads.raster import rasterise
from fer_core.heads.scene import Camera


def milliseconds(call: Callable[[], object], times: int = 15) -> float:
    """The median of some runs, in processor time."""
    call()
    taken = []
    for _ in range(times):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return 1000 * statistics.median(taken)


def rasterising(scene: Scene, size: int) -> float:
    """What the camera and the light see, without shading, in milliseconds."""
    shot = renderer._shoot(scene, size, size)
    body, fine = shot.surface, size * scene.camera.samples
    solid = body.triangles[body.kind != parts.LASH]
    cells = int(np.clip(fine, 96, 256))

    def both() -> None:
        rasterise(shot.view.screen, solid, fine, fine)
        rasterise(shot.view.screen, body.triangles[body.kind == parts.LASH], fine, fine, both_sides=True)
        light.shadow_map(shot.view.space, solid, light.direction(scene.light), cells)

    return milliseconds(both)


def main() -> None:
    scene = Scene(person=draw_person(1), actions=express("happy"), camera=Camera(noise=4, blur=0.01, jpeg=80))
    for size in (48, 192):
        alone, whole = rasterising(scene, size), milliseconds(lambda size=size: render([scene], size))
        print(f"{size} x {size}, four samples a pixel: {whole:.1f} ms, {whole / alone:.1f} times the rasterising alone")
    smile = scene.acting({"mouthSmile": 0.7})
    print(f"one action changed, 192 x 192 in colour: {milliseconds(lambda: render([smile], 192, colour=True)):.0f} ms")
    print(f"a person drawn: {milliseconds(lambda: draw_person.__wrapped__(5)):.1f} ms")
    print(f"what an action moves, 96 x 96: {milliseconds(lambda: renderer.moved(scene, 'jawOpen', 96)):.0f} ms")


if __name__ == "__main__":
    main()
