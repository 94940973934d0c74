"""Images of heads, and the truth that comes with them."""

import numpy as np
import pytest

from fer_core.faces import find_faces
from fer_core.heads import REGIONS, Scene, draw_person, express, moved, regions, render
from fer_core.heads.areas import CODE, FACE
from fer_core.heads.scene import Background, Camera, Light, Pose

PLAIN = Background(kind="plain")


def scene(seed: int = 1, **changes: object) -> Scene:
    return Scene(person=draw_person(seed), background=PLAIN, **changes)


def test_equal_scenes_give_equal_bytes_in_any_company() -> None:
    noisy = Camera(noise=8, blur=0.01, jpeg=60)
    scenes = [scene(seed, camera=noisy, actions=express("happy", seed=seed)) for seed in range(3)]
    together = render(scenes, 48)
    assert together.shape == (3, 48, 48)
    assert together.dtype == np.uint8
    for image, one in zip(together, scenes, strict=True):
        assert np.array_equal(render([one], 48)[0], image)
    assert render(scenes[:1], (40, 64), colour=True).shape == (1, 40, 64, 3)


def test_a_mirrored_scene_gives_the_mirrored_image() -> None:
    """To the rounding of light, but for a few pixels at edges where another triangle wins."""
    for seed in (2, 4, 8):
        one = scene(
            seed,
            actions=express("disgust", seed=seed) | {"mouthLeft": 0.3},
            pose=Pose(yaw=14, roll=-6, pitch=4),
            light=Light(azimuth=-50),
            camera=Camera(x=0.03, noise=3),
        )
        image, twin = render([one, one.mirrored()], 64, colour=True).astype(int)
        off = np.abs(image[:, ::-1] - twin).max(-1)
        assert np.mean(off <= 6) > 0.97
        assert off.mean() < 1.0
        assert np.abs(image - twin).mean() > 3  # the mirror matters


def test_an_action_at_0_changes_nothing() -> None:
    assert np.array_equal(*render([scene(), scene(actions={"jawOpen": 0.0, "browDown": 0.0})], 64))


# Action -> regions of the face that it may reach; the others must stay untouched.
REACH = {
    "browInnerUp": {"brow", "forehead", "eye", "nose", "hair"},
    "browDown": {"brow", "forehead", "eye", "nose", "cheek", "hair"},
    "eyeBlink": {"eye", "brow", "cheek", "nose", "forehead"},
    "jawOpen": {"mouth", "chin", "cheek", "neck", "nose", "clothes", "ear", "eye"},
    "mouthSmile": {"mouth", "cheek", "chin", "nose", "eye"},
    "mouthFrown": {"mouth", "cheek", "chin", "nose"},
}


@pytest.mark.parametrize("action", sorted(REACH))
def test_the_mask_of_an_action_covers_what_changes_and_nothing_else(action: str) -> None:
    clean = scene(6, camera=Camera(noise=5))
    mask, codes = moved(clean, action, 96), regions(clean, 96)
    before, after = render([clean, clean.acting({action: 1.0})], 96).astype(int)
    changed = np.abs(after - before) >= 4
    assert changed.sum() > 20
    assert mask[changed].mean() >= 0.95
    allowed = {name for name in REGIONS if name.removeprefix("left ").removeprefix("right ") in REACH[action]}
    for name in FACE:
        inside = codes == CODE[name]
        if name not in allowed and inside.any():
            assert mask[inside].mean() < 0.025, name


def test_an_action_that_the_scene_has_is_compared_with_its_absence() -> None:
    smile = scene(3, actions={"mouthSmile": 0.5})
    assert 50 < moved(smile, "mouthSmile", 64).sum() < 64 * 64 / 2
    weak = scene(3, actions={"mouthSmile": 0.1})
    assert moved(weak, "mouthSmile", 64).sum() < moved(smile, "mouthSmile", 64).sum()


def test_light_brightens_its_side() -> None:
    for azimuth, brighter in ((-60, 0), (60, 1)):
        lit = scene(5, light=Light(azimuth=azimuth, elevation=15))
        image, codes = render([lit], 64)[0].astype(float), regions(lit, 64)
        # The person's right cheek is on the image's left.
        cheeks = [image[codes == CODE[name]].mean() for name in ("right cheek", "left cheek")]
        assert cheeks[brighter] > cheeks[1 - brighter] + 15


def test_regions_lie_where_a_face_has_them() -> None:
    codes = regions(scene(0), 96)
    rows, columns = np.mgrid[:96, :96]
    middle = {name: (rows[codes == CODE[name]].mean(), columns[codes == CODE[name]].mean()) for name in FACE}
    order = ["forehead", "left brow", "left eye", "nose", "mouth", "chin"]
    heights = [middle[name][0] for name in order]
    assert heights == sorted(heights)
    assert middle["right eye"][1] < middle["nose"][1] < middle["left eye"][1]


def test_a_head_turned_to_the_right_shows_less_of_its_left_cheek() -> None:
    codes = regions(scene(0, pose=Pose(yaw=30)), 96)
    assert (codes == CODE["right cheek"]).sum() > 1.3 * (codes == CODE["left cheek"]).sum()


def test_camera_and_exposure_do_what_they_say() -> None:
    plain, bright, blurred = (
        render([scene(1, camera=Camera(**change))], 64)[0].astype(float)
        for change in ({}, {"exposure": 0.7}, {"blur": 0.02})
    )
    assert bright.mean() > plain.mean() + 15
    assert np.abs(np.diff(blurred, axis=0)).mean() < 0.8 * np.abs(np.diff(plain, axis=0)).mean()
    noisy = render([scene(1, camera=Camera(noise=10))], 64)[0].astype(float)
    assert np.std(noisy - plain) == pytest.approx(10, rel=0.15)


def test_a_frontal_head_is_found() -> None:
    """By the detector of networks' photos, in at least 98 of 100 heads."""
    scenes = [scene(seed, actions=express(name, 0.9, seed=seed)) for seed in range(25) for name in ("neutral", "happy")]
    found = sum(bool(find_faces(image, "mtcnn")) for image in render(scenes, 128, colour=True))
    assert found >= 49
