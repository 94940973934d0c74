"""The warnings that go with a prediction: which condition raises which, and no other."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from fer_core.faces import Face
from fer_core.images import ImageSpec, quality

SPEC = ImageSpec(height=48, width=48)


@pytest.fixture(scope="module")
def face():
    """The public-domain portrait's face, cut out by hand: 110 x 110, sharp, frontal."""
    return astronaut()[68:178, 172:282]


def warned(cut, points=None) -> str:
    return "; ".join(quality.warnings(Face((0, 0, 110, 110), None, points), cut, SPEC))


def test_a_good_face_has_no_warning(face):
    assert warned(face, np.float32([[30, 35], [75, 36], [52, 57], [33, 73], [71, 73]])) == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda face: cv2.resize(face, (40, 40), interpolation=cv2.INTER_AREA),
            "too small (40 pixels, the network takes 48)",
        ),
        (lambda face: (face * 0.25).astype(np.uint8), "too dark"),
        (lambda face: cv2.GaussianBlur(face, (0, 0), 4), "blurred"),
    ],
)
def test_each_fault_is_named_alone(face, change, says):
    (only,) = quality.warnings(Face((0, 0, 110, 110)), change(face), SPEC)
    assert says in only


def test_a_nose_beside_the_eyes_middle_is_turned_and_sloping_eyes_are_tilted(face):
    # Eyes 40 apart; the nose 16 off their middle is 0.40 of that.
    assert quality.pose(Face((0, 0, 9, 9), None, np.float32([[0, 0], [40, 0], [36, 30], [0, 0], [0, 0]]))) == (0.4, 0)
    assert "turned to the side (nose 0.40" in warned(face, np.float32([[0, 0], [40, 0], [36, 30], [0, 0], [0, 0]]))
    sloping = np.float32([[0, 0], [20, 34.641], [10, 17.32], [0, 0], [0, 0]])
    assert "tilted (60 degrees" in warned(face, sloping)
    assert "turned" not in warned(face, sloping)
    assert quality.pose(Face((0, 0, 9, 9), None, np.zeros((5, 2), np.float32))) == (float("inf"), 0)
    assert quality.pose(Face((0, 0, 9, 9))) is None


def test_sharpness_does_not_change_with_light_and_contrast(face):
    dim = (60 + face * 0.5).astype(np.uint8)
    assert quality.sharpness(dim) == pytest.approx(quality.sharpness(face), rel=0.05)
    assert quality.sharpness(np.full((60, 60), 90, np.uint8)) == 0


def test_brightness_and_contrast_are_mean_and_deviation():
    half = np.zeros((48, 48), np.uint8)
    half[24:] = 200
    assert quality.brightness(half) == 100
    assert quality.contrast(half) == 100
