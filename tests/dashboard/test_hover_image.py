"""The sheet of images that the map of faces shows from."""

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dashboard.hover_image import COLUMNS, SIDE, sheet


@pytest.mark.parametrize("colour", [False, True])
def test_each_picture_is_at_its_place_on_the_sheet(colour: bool) -> None:
    greys = [10 + 3 * number for number in range(COLUMNS + 6)]  # one full row and six of the next
    shape = (20, 30, 3) if colour else (96, 96)
    image = Image.open(BytesIO(b64decode(sheet(np.full(shape, grey, np.uint8) for grey in greys))))
    assert image.size == (COLUMNS * SIDE, 2 * SIDE)
    assert image.mode == ("RGB" if colour else "L")
    pixels = np.asarray(image.convert("L")).astype(int)
    for number, grey in enumerate(greys):
        row, column = divmod(number, COLUMNS)
        tile = pixels[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        assert abs(tile[8:-8, 8:-8] - grey).max() <= 3
    assert pixels[SIDE + 8 :, (6 + 1) * SIDE :].max() <= 3  # nothing behind the last
