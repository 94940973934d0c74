"""Face finding on the public-domain portrait of scikit-image (Eileen Collins, NASA), 512 x 512."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import NormalDist

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from fer_core.errors import FerError, UnknownName
from fer_core.faces import (
    DETECTORS,
    LONGEST_SIDE,
    Detector,
    Face,
    FaceCrop,
    crop,
    detectors_here,
    find_faces,
    framed_for,
    placement,
    soften,
)
from fer_core.faces.mtcnn import suppressed

# Read by hand from the portrait enlarged four times: pupils, tip of the nose, corners of the mouth ...
POINTS = np.array([[203, 101], [246.75, 103], [223.75, 125], [205, 141.75], [243.5, 141.5]])
# ... and left cheek, hairline, right cheek, chin.
LEFT, TOP, RIGHT, BOTTOM = 181, 75, 271, 178
FOUND = pytest.mark.parametrize("detector", ["mtcnn", "haar"])


@pytest.fixture(scope="module")
def portrait() -> NDArray[np.uint8]:
    return np.asarray(data.astronaut())


def canvas(picture: NDArray[np.uint8], height: int = 480, width: int = 640) -> NDArray[np.uint8]:
    """A grey frame with the image in its upper left corner."""
    frame = np.full((height, width, 3), 120, np.uint8)
    frame[: picture.shape[0], : picture.shape[1]] = picture
    return frame


def overlap(face: Face, left: float, top: float, right: float, bottom: float) -> float:
    """Intersection over union of a face's box and another."""
    x, y, width, height = face.box
    both = max(0, min(x + width, right) - max(x, left)) * max(0, min(y + height, bottom) - max(y, top))
    return both / (width * height + (right - left) * (bottom - top) - both)


@FOUND
def test_the_box_is_on_the_face(portrait, detector):
    (face,) = find_faces(portrait, detector)
    assert overlap(face, LEFT, TOP, RIGHT, BOTTOM) > 0.7


def test_mtcnn_points_are_on_eyes_nose_and_mouth(portrait):
    (face,) = find_faces(portrait, "mtcnn")
    assert face.points is not None
    assert face.points.shape == (5, 2)
    assert face.points.dtype == np.float32
    assert np.abs(face.points - POINTS).max() < 5
    assert face.score is not None
    assert 0.9 < face.score <= 1


def test_of_overlapping_boxes_one_is_kept_and_of_equal_scores_the_last():
    # The first two share 81 x 100 of 101 x 100 pixels, the third shares nothing, the fourth lies within the third.
    boxes = np.array([[0, 0, 100, 99, 0.9], [20, 0, 120, 99, 0.8], [300, 0, 400, 99, 0.7], [310, 0, 350, 49, 0.6]])
    assert suppressed(boxes, 0.5, "Union").tolist() == [0, 2, 3]  # 81 / 121; 41 * 50 / (101 * 100)
    assert suppressed(boxes, 0.7, "Union").tolist() == [0, 1, 2, 3]
    assert suppressed(boxes, 0.7, "Min").tolist() == [0, 2]
    assert suppressed(np.empty((0, 9)), 0.5, "Union").tolist() == []
    same = np.column_stack([np.random.default_rng(1).integers(0, 3, (500, 2)), np.full((500, 3), [90, 90, 1.0])])
    assert suppressed(same, 0.5, "Union").tolist() == [499]


@FOUND
def test_a_grey_picture_and_a_reversed_view_give_the_same_face(portrait, detector):
    (colour,) = find_faces(portrait, detector)
    (grey,) = find_faces(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY), detector)
    (view,) = find_faces(np.ascontiguousarray(portrait[..., ::-1])[..., ::-1], detector)
    assert (
        overlap(grey, colour.box[0], colour.box[1], colour.box[0] + colour.box[2], colour.box[1] + colour.box[3]) > 0.8
    )
    assert view.box == colour.box


@FOUND
def test_every_face_is_found_and_the_largest_comes_first(portrait, detector):
    small = cv2.resize(portrait, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    pair = np.full((512, 880, 3), 120, np.uint8)
    pair[:358, :358] = small
    pair[:, 368:] = portrait
    first, second = find_faces(pair, detector)
    assert overlap(first, LEFT + 368, TOP, RIGHT + 368, BOTTOM) > 0.7
    assert overlap(second, LEFT * 0.7, TOP * 0.7, RIGHT * 0.7, BOTTOM * 0.7) > 0.65


def test_a_face_of_40_pixels_is_found_and_one_below_the_wanted_size_is_not(portrait):
    scale = 40 / (BOTTOM - TOP)
    frame = canvas(cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    (face,) = find_faces(frame)
    assert overlap(face, LEFT * scale, TOP * scale, RIGHT * scale, BOTTOM * scale) > 0.6
    assert find_faces(frame, min_size=60) == []


def test_a_large_photo_is_searched_small_and_answers_in_its_own_pixels(monkeypatch):
    def lower_right_quarter(image: NDArray[np.uint8], min_size: float) -> list[Face]:
        assert image.shape == (853, LONGEST_SIDE, 3)  # 2000 * 1280 / 3000 = 853.3
        assert min_size == pytest.approx(60 * 1280 / 3000)
        return [Face((640, 426.5, 640, 426.5), 0.5, np.full((5, 2), 853 / 4, np.float32))]

    DETECTORS.names()  # loads the real ones first
    monkeypatch.setitem(DETECTORS._entries, "quarter", Detector(lower_right_quarter, "Quarter", 0.0))
    (face,) = find_faces(np.zeros((2000, 3000), np.uint8), "quarter", min_size=60)
    assert face.box == pytest.approx((1500, 1000, 1500, 1000))
    assert face.points is not None
    # y: 853 / 4 is a quarter of the height, 500; x: 853 / 4 of 1280 columns is 3000 * 853 / 4 / 1280 = 499.8.
    assert face.points[0] == pytest.approx([499.8, 500], abs=0.01)


def test_a_face_of_a_large_photo_is_found(portrait):
    photo = cv2.resize(portrait, (3000, 3000), interpolation=cv2.INTER_LINEAR)
    (face,) = find_faces(photo)
    scale = 3000 / 512
    assert overlap(face, LEFT * scale, TOP * scale, RIGHT * scale, BOTTOM * scale) > 0.7
    assert face.points is not None
    assert np.abs(face.points - POINTS * scale).max() < 5 * scale


@FOUND
@pytest.mark.parametrize("name", ["rocket", "chelsea", "coffee", "brick"])
def test_pictures_without_a_face_have_none(detector, name):
    assert find_faces(getattr(data, name)(), detector) == []


@FOUND
def test_noise_has_no_face(detector):
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    assert find_faces(noise, detector) == []


@FOUND
@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (16, 16, 3), (3, 400, 3), (400, 3), (48, 48), (2, 4000, 3)])
def test_tiny_narrow_and_constant_pictures_have_no_face(detector, shape):
    assert find_faces(np.full(shape, 200, np.uint8), detector) == []


def test_none_takes_the_whole_picture_and_leaves_it_as_it_is(portrait):
    picture = portrait[:100, :60]
    (face,) = find_faces(picture, "none")
    assert face.box == (0, 0, 60, 100)
    assert face.score is None
    whole = FaceCrop(detector="none", margin=0.3)
    assert np.array_equal(whole.cut(picture, whole.find(picture)[0]), picture)


def test_softening_is_the_same_blur_for_a_face_of_any_size():
    """A bar's edge, whose blur is the normal distribution: at one deviation from it 84.13 % of the step are reached."""
    for side in (100, 1000):  # the second is made smaller, to 200 pixels, so that its deviation is 2
        bar = np.zeros((side, side), np.uint8)
        bar[:, side // 2 :] = 200
        soft = soften(bar, 0.01)
        assert soft.shape == (min(side, 200),) * 2
        sigma = 0.01 * len(soft)
        middle = (np.arange(len(soft)) + 0.5 - len(soft) / 2) / sigma
        wanted = 200 * np.array([NormalDist().cdf(place) for place in middle])
        assert (
            np.abs(soft[len(soft) // 2] - wanted).max() < 6
        )  # of 200; a kernel of whole pixels is no normal distribution
    assert soften(bar, 0.0) is bar


def test_only_what_a_network_is_given_is_softened(portrait):
    face = Face((20, 20, 60, 60))
    framing = FaceCrop(margin=0.1, soft=0.05)
    window = framing.window(portrait, face)
    assert np.array_equal(window, FaceCrop(margin=0.1).cut(portrait, face))
    assert np.array_equal(framing.cut(portrait, face), soften(window, 0.05))
    assert framing.cut(portrait, face).std() < window.std()
    whole = framing.model_copy(update={"detector": "none"})
    assert np.array_equal(whole.cut(portrait, face), portrait)


def test_an_unknown_detector_is_named_with_the_known_ones(portrait):
    for ask in (lambda: find_faces(portrait, "mtcn"), lambda: FaceCrop(detector="mtcn")):
        with pytest.raises(UnknownName, match=r"mtcn.*did you mean “mtcnn”.*haar, mtcnn, none, yunet"):
            ask()


def test_a_face_crop_survives_its_card():
    kept = FaceCrop(detector="haar", margin=DETECTORS.get("haar").margin, align="upright")
    assert FaceCrop.model_validate_json(kept.model_dump_json()) == kept


def test_lists_of_detectors_hold_what_works_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.delenv("FERSCOPE_YUNET", raising=False)
    assert list(detectors_here()) == ["haar", "mtcnn", "none"]
    (tmp_path / "yunet.onnx").write_bytes(b"")
    monkeypatch.setenv("FERSCOPE_YUNET", str(tmp_path / "yunet.onnx"))
    assert list(detectors_here()) == ["haar", "mtcnn", "yunet", "none"]


def test_a_face_of_another_detector_is_framed_alike():
    served = framed_for(FaceCrop(), "haar")
    assert (served.detector, served.margin) == ("haar", pytest.approx(0.02))


def test_a_crop_is_the_square_round_the_boxs_centre():
    image = np.arange(400, dtype=np.uint16).reshape(20, 20).astype(np.uint8)
    # Centre (8 + 4/2, 6 + 6/2) = (10, 9); side 6 * (1 + 1/3) = 8: columns 10 - 4 .. 13, rows 9 - 4 .. 12.
    assert np.array_equal(crop(image, Face((8, 6, 4, 6)), 1 / 3), image[5:13, 6:14])


def test_a_crop_repeats_the_edge_where_it_sticks_out():
    image = np.array([[1, 2], [3, 4]], np.uint8)
    # Centre (1, 1), side 2 * 2 = 4: one row and column beyond the image on each side.
    assert crop(image, Face((0, 0, 2, 2)), 1.0).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]


@given(
    box=st.tuples(*[st.floats(-60, 60)] * 2, *[st.floats(0.1, 80)] * 2),
    margin=st.floats(-0.5, 2),
    eyes=st.lists(st.floats(-90, 90), min_size=4, max_size=4),
    colour=st.booleans(),
    upright=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_a_crop_is_square_and_made_of_the_pictures_own_values(box, margin, eyes, colour, upright):
    image = np.random.default_rng(0).integers(60, 90, (30, 40, 3) if colour else (30, 40), dtype=np.uint8)
    points = np.array([*eyes, *[0] * 6], np.float32).reshape(5, 2)
    cut = crop(image, Face(box, None, points), margin, upright)
    side = max(1, round(max(box[2:]) * (1 + margin)))
    assert cut.shape == (side, side, *image.shape[2:])
    assert cut.dtype == np.uint8
    assert cut.min() >= 60
    assert cut.max() < 90


def test_level_eyes_make_upright_change_nothing(portrait):
    points = np.array([[30, 40], [60, 40], [0, 0], [0, 0], [0, 0]], np.float32)
    face = Face((20, 10, 50, 60), None, points)
    assert np.array_equal(crop(portrait, face, 0.0, upright=True), crop(portrait, face))


def test_eyes_on_one_pixel_turn_nothing(portrait):
    face = Face((20, 10, 50, 60), None, np.zeros((5, 2), np.float32))
    assert np.array_equal(crop(portrait, face, 0.0, upright=True), crop(portrait, face))


def test_placement_maps_the_crops_pixels_to_the_pictures():
    # Eyes one above the other, the second below: the face lies on its side, turned clockwise by a quarter.
    points = np.array([[12, 10], [12, 20], [0, 0], [0, 0], [0, 0]], np.float32)
    side, to_image = placement(Face((8, 8, 8, 8), None, points), upright=True)
    assert side == 8
    # The crop's upper left corner pixel (0, 0) is the image's upper right of columns 8..15 and rows 8..15, and going
    # right in the crop goes down in the image.
    assert to_image @ [0, 0, 1] == pytest.approx([15, 8])
    assert to_image @ [1, 0, 1] == pytest.approx([15, 9])
    image = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
    turned = crop(image, Face((8, 8, 8, 8), None, points), upright=True)
    assert np.array_equal(turned, np.rot90(image[8:16, 8:16]))


@pytest.mark.parametrize("angle", [20, -20])
def test_upright_makes_the_eyes_of_a_turned_face_level(portrait, angle):
    turn = cv2.getRotationMatrix2D((225, 120), angle, 1.0)
    turned = cv2.warpAffine(portrait, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    face = find_faces(turned)[0]

    def slope(picture: NDArray[np.uint8]) -> float:
        points = find_faces(picture)[0].points
        assert points is not None
        across, down = points[1] - points[0]
        return float(np.degrees(np.arctan2(down, across)))

    # In the portrait the right eye is 2 of 44 pixels lower, 2.6 degrees; turning counter-clockwise raises it.
    assert slope(turned) == pytest.approx(2.6 - angle, abs=5)
    assert slope(crop(turned, face, 0.5, upright=False)) == pytest.approx(2.6 - angle, abs=5)
    assert slope(crop(turned, face, 0.5, upright=True)) == pytest.approx(0, abs=5)


@FOUND
def test_threads_do_not_mix_their_pictures(portrait, detector):
    pictures = [portrait[20:220, left : left + 200] for left in (90, 110, 130, 150)]
    alone = [find_faces(picture, detector)[0].box for picture in pictures]
    together: dict[tuple[int, int], tuple[float, ...]] = {}

    def work(which: int) -> None:
        for turn in range(3):
            together[which, turn] = find_faces(pictures[which], detector)[0].box

    threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == {(which, turn): alone[which] for which in range(4) for turn in range(3)}


@pytest.mark.process
def test_mtcnn_works_where_python_has_no_imghdr():
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name == "imghdr":
            raise ModuleNotFoundError("No module named 'imghdr'", name="imghdr")
sys.meta_path.insert(0, Refuse())
from skimage.data import astronaut
from fer_core.faces import find_faces
assert len(find_faces(astronaut())) == 1
assert "imghdr" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=Path(__file__).parents[3])


@pytest.mark.process
def test_looking_at_a_face_crop_loads_no_opencv():
    code = "import sys; from fer_core.faces import FaceCrop; FaceCrop(detector='haar'); assert 'cv2' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_yunet_without_its_file_says_how_to_give_it(portrait, monkeypatch, tmp_path):
    monkeypatch.delenv("FERSCOPE_YUNET", raising=False)
    with pytest.raises(FerError, match=r"face_detection_yunet_2023mar.onnx and FERSCOPE_YUNET is not set; download"):
        find_faces(portrait, "yunet")
    monkeypatch.setenv("FERSCOPE_YUNET", str(tmp_path / "gone.onnx"))
    with pytest.raises(FerError, match=r"gone\.onnx, which is no file; download"):
        find_faces(portrait, "yunet")


@pytest.mark.parametrize("content", [b"", b"no network at all"])
def test_yunet_refuses_a_file_that_is_none(portrait, monkeypatch, tmp_path, content):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(content)
    monkeypatch.setenv("FERSCOPE_YUNET", str(broken))
    with pytest.raises(FerError, match=r"broken\.onnx does not work as YuNet"):
        find_faces(portrait, "yunet")


def onnx(*fields: tuple[int, int | str | bytes]) -> bytes:
    """A message of protocol buffers, the format of ONNX: each field its number, then a varint or a length and bytes."""

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + varint(value // 128)

    message = b""
    for number, value in fields:
        if isinstance(value, int):
            message += varint(number * 8) + varint(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            message += varint(number * 8 + 2) + varint(len(content)) + content
    return message


def constant_yunet(answers: dict[str, NDArray[np.float32]], side: int) -> bytes:
    """A network with YuNet's outputs that gives the same answers to every image of side x side."""

    def tensor(name: str, values: NDArray[np.generic]) -> bytes:
        kind = {"f": 1, "i": 7}[values.dtype.kind]
        return onnx(*[(1, size) for size in values.shape], (2, kind), (8, name), (9, values.tobytes()))

    def value(name: str, *shape: int) -> bytes:
        sizes = onnx(*[(1, onnx((1, size))) for size in shape])
        return onnx((1, name), (2, onnx((1, onnx((1, 1), (2, sizes))))))

    def node(operator: str, *names: str) -> tuple[int, bytes]:
        return 1, onnx(*[(1, name) for name in names[:-1]], (2, names[-1]), (4, operator))

    fields: list[tuple[int, int | str | bytes]] = [
        node("Mul", "input", "zero", "nothing"),
        node("GlobalAveragePool", "nothing", "mean"),
        node("ReduceSum", "mean", "channels", "sum"),
        node("Reshape", "sum", "one", "base"),
        (5, tensor("zero", np.zeros(1, np.float32))),
        (5, tensor("channels", np.array([1], np.int64))),
        (5, tensor("one", np.array([1, 1, 1], np.int64))),
        (11, value("input", 1, 3, side, side)),
    ]
    for name, answer in answers.items():
        fields += [
            node("Add", "base", f"{name}_values", name),
            (5, tensor(f"{name}_values", answer)),
            (12, value(name, *answer.shape)),
        ]
    return onnx((1, 7), (8, onnx((1, ""), (2, 13))), (7, onnx(*fields, (2, "yunet"))))


def test_yunet_reads_box_points_and_score_from_its_network(monkeypatch, tmp_path):
    answers = {}
    for stride in (8, 16, 32):
        cells = (64 // stride) ** 2
        for name, width in {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}.items():
            answers[f"{name}_{stride}"] = np.zeros((1, cells, width), np.float32)
    # One face in the last of the 2 x 2 cells of 32 pixels, column 1 and row 1: score sqrt(0.9 * 0.9),
    # centre ((1 + 0.25) * 32, (1 + 0.5) * 32) = (40, 48), width 32 * e^ln 1.5 = 48, height 32 * e^0 = 32.
    answers["cls_32"][0, 3] = answers["obj_32"][0, 3] = 0.9
    answers["bbox_32"][0, 3] = 0.25, 0.5, np.log(1.5), 0
    # Points (1 + value) * 32: eyes at x = 32 and 48, the nose between them and lower, then the mouth.
    answers["kps_32"][0, 3] = 0, 0, 0.5, 0, 0.25, 0.25, 0, 0.5, 0.5, 0.5
    path = tmp_path / "constant.onnx"
    path.write_bytes(constant_yunet(answers, 64))
    monkeypatch.setenv("FERSCOPE_YUNET", str(path))

    (face,) = find_faces(np.zeros((64, 64, 3), np.uint8), "yunet")

    assert face.box == pytest.approx((16, 32, 48, 32), abs=1e-3)
    assert face.score == pytest.approx(0.9, abs=1e-5)
    assert face.points is not None
    assert face.points.tolist() == [[32, 32], [48, 32], [40, 40], [32, 48], [48, 48]]
    assert find_faces(np.zeros((64, 64, 3), np.uint8), "yunet", min_size=49) == []


@FOUND
def test_the_time_a_frame_is_printed(portrait, detector):
    frame = canvas(cv2.resize(portrait, (480, 480), interpolation=cv2.INTER_AREA))
    assert len(find_faces(frame, detector)) == 1  # loads the detector too
    start = time.perf_counter()
    find_faces(frame, detector)
    print(f"{detector}: {(time.perf_counter() - start) * 1000:.0f} ms a 640x480 frame")  # seen with pytest -s
