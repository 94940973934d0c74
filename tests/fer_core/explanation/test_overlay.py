"""Colours of maps: ends and middle of the scales, one scale for several maps, a face that shows through."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fer_core.explanation.overlay import colour, common_limit, overlay

maps = hnp.arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32))
limits = st.floats(0.125, 1e6, width=32) | st.just(0.0)


def row(*values: float) -> np.ndarray:
    return np.array([values], dtype=np.float32)


def test_unsigned_maps_run_from_viridis_first_to_its_last_colour():
    # The table's ends and its middle (entry 128) as matplotlib publishes it: #440154, #21918c, #fde725.
    found = colour(row(0, 128 / 255 * 2, 2), signed=False, limit=2)[0].astype(int)
    assert np.abs(found - [(0x44, 0x01, 0x54), (0x21, 0x91, 0x8C), (0xFD, 0xE7, 0x25)]).max() <= 2


def test_unsigned_colours_grow_lighter_at_every_step():
    ramp = colour(np.linspace(0, 1, 256, dtype=np.float32)[None], signed=False, limit=1)[0]
    lightness = ramp @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) >= -0.5).all()  # within the rounding of 8 bits
    assert lightness[-1] - lightness[0] > 150


def test_signed_maps_run_from_blue_over_white_at_zero_to_red():
    # Half way to red: 255 + 0.5 * (178 - 255) = 216.5, 255 + 0.5 * (24 - 255) = 139.5, 255 + 0.5 * (43 - 255) = 149.
    found = colour(row(-3, 0, 1.5, 3), signed=True, limit=3)[0].tolist()
    assert found == [[33, 102, 172], [255, 255, 255], [216, 140, 149], [178, 24, 43]]


def test_values_beyond_the_limit_get_its_colour_and_negative_ones_of_an_unsigned_map_the_first():
    assert np.array_equal(colour(row(9, -9), signed=True, limit=1), colour(row(1, -1), signed=True, limit=1))
    assert np.array_equal(colour(row(9, -9), signed=False, limit=1), colour(row(1, 0), signed=False, limit=1))


@pytest.mark.parametrize("signed", [True, False])
def test_a_zero_map_with_limit_zero_has_the_colour_of_zero_and_leaves_the_face_alone(signed):
    zero, face = np.zeros((2, 2), np.float32), np.array([[0, 99], [180, 255]], np.uint8)
    assert np.array_equal(colour(zero, signed=signed, limit=0.0), colour(zero, signed=signed, limit=1.0))
    assert np.array_equal(overlay(face, zero, signed=signed, limit=common_limit([zero])), np.stack([face] * 3, -1))


def test_the_common_limit_is_that_of_all_maps_together_without_the_largest_half_per_cent():
    # 1000 values 0.001 .. 1, every other one negative: the 99.5th percentile of 1..1000 is 1 + 0.995 * 999 = 995.005.
    values = np.arange(1, 1001, dtype=np.float32) / 1000
    values[::2] *= -1
    assert common_limit([values[:500].reshape(20, 25), values[500:].reshape(20, 25)]) == pytest.approx(0.995005)


def test_a_single_bright_pixel_still_gets_a_scale():
    lone = np.zeros((48, 48), np.float32)
    lone[3, 3] = 5
    assert common_limit([lone]) == 5


def test_weak_looks_weak_beside_strong_on_the_common_limit():
    strong, weak = np.full((4, 4), 10, np.float32), np.full((4, 4), 1, np.float32)
    face, limit = np.full((4, 4), 128, np.uint8), common_limit([strong, weak])
    change = [np.abs(overlay(face, one, signed=True, limit=limit).astype(int) - 128).max() for one in (strong, weak)]
    assert change[0] > 5 * change[1]


def test_the_overlay_mixes_face_and_colour_by_strength_and_size_of_the_value():
    # Opacity 0.5 * 1 at the limit, 0.5 * 0.5 half way, where the colour is (216.5, 139.5, 149) rounded to even:
    # 0.5 * 100 + 0.5 * (178, 24, 43) = (139, 62, 71.5); 0.75 * 100 + 0.25 * (216, 140, 149) = (129, 110, 112.25).
    face = np.full((1, 3), 100, np.uint8)
    found = overlay(face, row(2, 1, 0), signed=True, limit=2, strength=0.5)[0].tolist()
    assert found == [[139, 62, 72], [129, 110, 112], [100, 100, 100]]


@settings(deadline=None, max_examples=50)
@given(maps, limits, st.booleans())
def test_strength_nought_shows_the_face_and_full_strength_the_colour_at_the_limit(values, limit, signed):
    face = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    assert np.array_equal(overlay(face, values, signed=signed, limit=limit, strength=0.0), face)
    full = overlay(face, values, signed=signed, limit=limit, strength=1.0)
    reached = ((np.abs(values) if signed else values) >= limit) & (limit > 0)
    assert np.array_equal(full[reached], colour(values, signed=signed, limit=limit)[reached])


@settings(deadline=None, max_examples=50)
@given(maps, st.floats(0.125, 1e6))
def test_the_opposite_of_a_signed_map_swaps_red_and_blue(values, limit):
    found, opposite = (colour(v, signed=True, limit=limit).astype(int) for v in (values, -values))
    seen = np.abs(values) >= 0.01 * limit  # below that the colours are within one level of white, and rounding decides
    redder = found[..., 0] > found[..., 2]
    assert np.array_equal((opposite[..., 0] < opposite[..., 2])[seen], redder[seen])


def test_a_small_map_is_enlarged_to_its_face():
    face = np.zeros((8, 6), np.uint8)
    found = overlay(face, np.ones((4, 3), np.float32), signed=False, limit=1, strength=1.0)
    assert found.shape == (8, 6, 3)
    assert (found == colour(row(1), signed=False, limit=1)).all()
