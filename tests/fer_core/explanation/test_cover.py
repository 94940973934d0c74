"""Covering parts of an image: where the covers lie, and what a network of known taste predicts then."""

import numpy as np

from fer_core.explanation.cover import CELLS, covered, covers


def test_covers_are_quarters_of_the_side_around_the_middle_of_each_cell() -> None:
    places = covers(48, 48)
    assert len(places) == CELLS**2
    # six cells of 8 pixels; the first middle is 4, and a cover of 12 reaches from -2, cut off at 0, to 10
    np.testing.assert_array_equal(places[0], [0, 10, 0, 10])
    np.testing.assert_array_equal(places[1], [0, 10, 6, 18])
    np.testing.assert_array_equal(places[-1], [38, 48, 38, 48])


def test_only_covers_over_the_bright_corner_change_a_network_that_looks_there() -> None:
    picture = np.zeros((48, 48), np.uint8)
    picture[:8, :8] = 255

    def corner(images: np.ndarray) -> np.ndarray:
        share = images[:, :8, :8].mean(axis=(1, 2)) / 255
        return np.stack([share, 1 - share], axis=1)

    found = covered(corner, picture)
    assert found[0, 0] == 1
    changed = np.flatnonzero(found[1:, 0] < 1)
    assert changed.tolist() == [0, 1, CELLS, CELLS + 1]  # those that reach into the corner
    mean = round(255 * 64 / 48**2)
    np.testing.assert_allclose(found[1, 0], mean / 255)  # wholly covered with the image's mean
