"""Decoding, fitting and normalising images."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from fer_core.errors import ImageError
from fer_core.images import MAX_PIXELS, ImageSpec, decode, fit, normalise, to_tensor


def png(array: np.ndarray, mode: str | None = None, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array, mode).save(buffer, format="PNG", **options)
    return buffer.getvalue()


GREY = np.arange(48 * 48, dtype=np.uint32).reshape(48, 48).astype(np.uint8)


def test_a_grey_png_keeps_every_value() -> None:
    np.testing.assert_array_equal(decode(png(GREY)), GREY)


def test_a_colour_png_keeps_every_value_in_the_order_red_green_blue() -> None:
    colour = np.zeros((4, 5, 3), np.uint8)
    colour[..., 0], colour[..., 2] = 200, 10
    np.testing.assert_array_equal(decode(png(colour)), colour)


def test_a_camera_rotation_note_is_applied() -> None:
    tall = np.zeros((10, 20), np.uint8)
    tall[:, :5] = 255
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # “turn 90 degrees clockwise to show”
    Image.fromarray(tall).save(buffer, format="PNG", exif=exif)
    shown = decode(buffer.getvalue())
    assert shown.shape == (20, 10)
    assert shown[:5].min() == 255
    assert shown[5:].max() == 0


def test_a_rotation_note_beside_an_odd_one_is_applied_too() -> None:
    notes = struct.pack("<4sIH", b"II*\0", 8, 2)
    notes += struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)  # as above
    notes += struct.pack("<HHI4s", 0x0115, 2, 4, b"odd\0")  # how many channels: a word where a number belongs
    buffer = io.BytesIO()
    Image.new("L", (20, 10)).save(buffer, format="JPEG", exif=b"Exif\0\0" + notes + bytes(4))
    assert decode(buffer.getvalue()).shape == (20, 10)


def test_transparent_pixels_become_white() -> None:
    picture = np.zeros((2, 2, 4), np.uint8)
    picture[0, 0] = (9, 8, 7, 255)
    np.testing.assert_array_equal(decode(png(picture))[..., 0], [[9, 255], [255, 255]])


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_colour_that_stands_for_transparent_becomes_white(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (2, 2)).save(buffer, format="PNG", transparency=(0, 0, 0) if mode == "RGB" else 0)
    assert decode(buffer.getvalue()).min() == 255


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = np.array([[0, 257, 65535]], np.uint16)  # 257 = 65535 / 255
    np.testing.assert_array_equal(decode(png(deep)), [[0, 1, 255]])


def test_a_dark_sixteen_bit_picture_stays_dark() -> None:
    np.testing.assert_array_equal(decode(png(np.full((2, 2), 200, np.uint16))), np.full((2, 2), 1))


def test_fractions_are_taken_from_0_to_1_and_others_are_not_made_white() -> None:
    def tiff(*values: float) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(np.array([values], np.float32)).save(buffer, format="TIFF")
        return buffer.getvalue()

    np.testing.assert_array_equal(decode(tiff(0, 0.2, 1, 1.02)), [[0, 51, 255, 255]])
    for values in ((0, 51, 187), (0, float("nan"), 1)):
        with pytest.raises(ImageError, match="expected 0 to 1; save it with 8 or 16 bits"):
            decode(tiff(*values))


def test_cmyk_jpeg_becomes_rgb() -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 0, 0, 255)).save(buffer, format="JPEG")
    assert decode(buffer.getvalue()).shape == (8, 8, 3)


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 250)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    assert decode(buffer.getvalue()).max() == 10


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "0 bytes"),
        (b"not an image", "no image in a known format"),
        (png(np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8))[:1500], "damaged"),
    ],
)
def test_a_bad_picture_is_refused_with_the_reason(data: bytes, says: str) -> None:
    with pytest.raises(ImageError, match=says):
        decode(data)


@pytest.mark.parametrize(
    ("width", "height", "says"),
    [(8000, 5000, "8000 x 5000 pixels \\(40 megapixels\\)"), (16320, 12240, "far too large, at most 32 megapixels")],
)
def test_a_photo_of_too_many_megapixels_is_refused_before_it_is_decoded(width: int, height: int, says: str) -> None:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    assert width * height > MAX_PIXELS
    with pytest.raises(ImageError, match=says):
        decode(data)


def test_a_picture_that_is_a_program_is_not_run() -> None:
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"  # or `{} loop`, for ever
    with pytest.raises(ImageError, match="no image in a known format"):
        decode(program)


def test_a_file_on_which_pillow_fails_in_its_own_way_is_said_to_be_damaged() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, format="DDS")
    broken = buffer.getvalue()[:80] + bytes([0, 64, 0, 0]) + buffer.getvalue()[84:]  # a NotImplementedError
    with pytest.raises(ImageError, match="damaged"):
        decode(broken)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="gone.png"):
        decode(tmp_path / "gone.png")


@given(st.integers(0, 255))
def test_equal_channels_become_exactly_that_grey(value: int) -> None:
    picture = np.full((48, 48, 3), value, np.uint8)
    np.testing.assert_array_equal(fit(picture, ImageSpec()), np.full((48, 48), value))


def test_a_picture_of_the_right_size_is_not_touched() -> None:
    assert fit(GREY, ImageSpec()) is GREY


def test_shrinking_averages_over_area() -> None:
    checker = (np.indices((96, 96)).sum(0) % 2 * 200).astype(np.uint8)  # every 2 x 2 block averages to 100
    np.testing.assert_array_equal(fit(checker, ImageSpec()), np.full((48, 48), 100))


def test_grey_serves_a_network_of_three_channels() -> None:
    shown = fit(GREY, ImageSpec(channels=3))
    assert shown.shape == (48, 48, 3)
    np.testing.assert_array_equal(shown[..., 1], GREY)


def test_fixed_normalisation_is_value_less_mean_over_deviation() -> None:
    batch = to_tensor(np.full((1, 48, 48), 51, np.uint8))  # 51 / 255 = 0.2; (0.2 - 0.5) / 0.25 = -1.2
    assert normalise(batch, ImageSpec(mean=(0.5,), std=(0.25,))).unique().item() == pytest.approx(-1.2)


def test_image_normalisation_gives_each_picture_mean_zero_and_deviation_one() -> None:
    values = normalise(to_tensor(np.stack([GREY, GREY // 2])), ImageSpec(standardise="image"))
    assert values.mean(dim=(1, 2, 3)).abs().max() < 1e-5
    # the deviation is that of the image plus 1/255, so a little below 1
    deviation = GREY.std() / 255
    assert values[0].std(correction=0).item() == pytest.approx(deviation / (deviation + 1 / 255), rel=1e-5)


def test_a_constant_picture_becomes_zeros_not_nan() -> None:
    values = normalise(to_tensor(np.full((1, 48, 48), 77, np.uint8)), ImageSpec(standardise="image"))
    assert values.abs().max() < 1e-4  # float32's rounding of the mean


def test_colour_batches_put_channels_first() -> None:
    batch = np.zeros((2, 48, 40, 3), np.uint8)
    batch[..., 2] = 9
    tensor = to_tensor(batch)
    assert tensor.shape == (2, 3, 48, 40)
    assert tensor[:, 2].unique().item() == 9


def test_a_spec_with_a_wrong_number_of_means_is_refused() -> None:
    with pytest.raises(ValidationError, match="mean and std need 1 or 3 values"):
        ImageSpec(channels=3, mean=(0.1, 0.2), std=(1.0,))


def test_grey_conversion_is_opencvs() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    np.testing.assert_array_equal(fit(colour, ImageSpec()), cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY))
