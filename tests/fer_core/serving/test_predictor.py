"""From a photo to named probabilities, on the public-domain portrait that comes with scikit-image."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.special import softmax
from skimage.data import astronaut

from fer_core.datasets import open_dataset
from fer_core.errors import CheckpointError, ConfigError, ImageError, UnknownName
from fer_core.faces import Face, FaceCrop, crop, find_faces, framed_for, placement
from fer_core.images import ImageSpec, decode, fit, normalise, to_tensor
from fer_core.labels import FER7
from fer_core.models.logits import predict_logits
from fer_core.serving.predictor import NOT_SURE, Prediction, Predictor, _on_photo
from tests.untrained import untrained


@pytest.fixture(scope="module")
def portrait():
    return astronaut()


@pytest.fixture
def predictor():
    return Predictor(untrained())


def test_the_portraits_one_face_is_found_and_named(predictor, portrait):
    (prediction,) = predictor.predict(portrait)
    left, top, width, height = prediction.face.box
    assert 200 < left + width / 2 < 245  # her nose is at (225, 120)
    assert 90 < top + height / 2 < 145
    assert tuple(prediction.probs) == FER7.names
    assert sum(prediction.probs.values()) == pytest.approx(1)
    assert prediction.confidence == prediction.probs[prediction.predicted] == max(prediction.probs.values())


def test_probabilities_are_the_softmax_of_what_the_network_says_of_the_crop(predictor, portrait):
    (prediction,) = predictor.predict(portrait)
    face = find_faces(portrait)[0]
    side = round(face.size * 0.94)  # FER2013's framing for mtcnn's boxes
    left, top = (round(at + extent / 2 - side / 2) for at, extent in zip(face.box[:2], face.box[2:], strict=True))
    grey = cv2.cvtColor(portrait[top : top + side, left : left + side], cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA)
    with torch.no_grad():
        logits = predictor.model((torch.from_numpy(small)[None, None].float() / 255 - 0.5) / 0.5)
    assert list(prediction.probs.values()) == pytest.approx(softmax(logits.numpy()[0]), abs=1e-6)


def test_names_follow_the_order_of_the_card(portrait):
    (first,) = Predictor(untrained("as-is")).predict(portrait)
    (second,) = Predictor(untrained("turned", expressions=FER7.names[::-1])).predict(portrait)
    assert tuple(second.probs) == FER7.names[::-1]
    assert list(second.probs.values()) == list(first.probs.values())
    assert FER7.index(second.predicted) == 6 - FER7.index(first.predicted)


def test_temperature_and_mirror_average_of_the_card_are_applied(portrait):
    (plain,) = Predictor(untrained("plain")).predict(portrait)
    served = Predictor(untrained("served", temperature=0.5, tta="flip"))
    (prediction,) = served.predict(portrait)
    both = np.stack([plain.picture, plain.picture[:, ::-1]])
    logits = predict_logits(served.model, both, served.card.image).mean(axis=0)
    assert list(prediction.probs.values()) == pytest.approx(softmax(logits / 0.5), abs=1e-6)


def test_the_mirror_average_can_be_asked_for_and_refused(portrait):
    (plain,) = Predictor(untrained("plain")).predict(portrait, tta="flip")
    flipping = Predictor(untrained("served", tta="flip"))
    (served,), (without,) = flipping.predict(portrait), flipping.predict(portrait, tta="none")
    assert plain.probs == served.probs
    assert without.probs != served.probs


def test_several_networks_answer_with_the_mean_of_their_probabilities_by_name(portrait):
    first = Predictor(untrained("first"))
    turned = untrained("turned", expressions=FER7.names[::-1], temperature=0.3)
    (a,), (b,) = first.predict(portrait), Predictor(turned).predict(portrait)
    (both,) = Predictor(untrained("again"), turned).predict(portrait)
    assert tuple(both.probs) == FER7.names
    for name in FER7.names:
        assert both.probs[name] == pytest.approx((a.probs[name] + b.probs[name]) / 2, abs=1e-9)


def test_networks_of_different_vocabularies_answer_on_what_both_know(portrait):
    words = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "contempt")
    one, other = untrained("one"), untrained("other", expressions=words, expressions_name="custom")
    together = Predictor(one, other)
    assert together.expressions == ("angry", "disgust", "happy", "sad", "surprise", "neutral")  # no fear, no contempt
    (a,), (b,), (both,) = (p.predict(portrait) for p in (Predictor(one), Predictor(other), together))
    share = [sum(p.probs[name] for name in together.expressions) for p in (a, b)]
    for name in together.expressions:
        wanted = (a.probs[name] / share[0] + b.probs[name] / share[1]) / 2
        assert both.probs[name] == pytest.approx(wanted, abs=1e-9)


def test_networks_that_share_one_expression_cannot_be_combined():
    strange = tuple(f"x{i}" for i in range(6))
    with pytest.raises(ConfigError, match="fewer than two expressions"):
        Predictor(untrained("one"), untrained("other", expressions=("happy", *strange), expressions_name="custom"))
    with pytest.raises(ConfigError, match="one network or more"):
        Predictor()


def test_each_network_of_several_gets_the_face_framed_as_its_own_card_says(portrait):
    wide = untrained("wide", face=FaceCrop(margin=0.4))
    (a,), (b,) = Predictor(untrained("close")).predict(portrait), Predictor(wide).predict(portrait)
    (both,) = Predictor(untrained("close-2"), wide).predict(portrait)
    assert b.probs != a.probs
    assert both.probs["happy"] == pytest.approx((a.probs["happy"] + b.probs["happy"]) / 2, abs=1e-9)


def test_below_the_chosen_confidence_it_is_not_sure(predictor, portrait):
    (prediction,) = predictor.predict(portrait)
    assert prediction.verdict(prediction.confidence) == prediction.predicted
    assert prediction.verdict(prediction.confidence + 1e-9) == NOT_SURE
    assert prediction.verdict(0) == prediction.predicted


def test_a_dark_photo_is_predicted_with_a_warning(predictor, portrait):
    (good,) = predictor.predict(portrait)
    assert good.warnings == ()
    (dark,) = predictor.predict((portrait * 0.25).astype(np.uint8))
    assert [warning.partition(" (")[0] for warning in dark.warnings] == ["too dark"]
    assert sum(dark.probs.values()) == pytest.approx(1)


def test_many_faces_in_one_batch_get_what_each_gets_alone(predictor, portrait):
    group = np.hstack([portrait, portrait[:, ::-1]])
    predictions = predictor.predict(group)
    assert sorted(prediction.face.box[0] > 512 for prediction in predictions) == [False, True]
    for prediction in predictions:
        (alone,) = predictor.predict(prediction.picture, "none")
        assert list(alone.probs.values()) == pytest.approx(list(prediction.probs.values()), abs=1e-6)


def test_a_picture_without_a_face_gives_an_empty_list(predictor):
    assert predictor.predict(np.full((200, 300, 3), 127, np.uint8)) == []


def test_the_same_png_gives_bit_identical_tensors_through_csv_folder_upload_and_camera(predictor, tmp_path, csv_of):
    grey = as_in_fer2013()
    spec = predictor.card.image
    png = tmp_path / "folder" / "val" / "happy" / "face.png"
    png.parent.mkdir(parents=True)
    Image.fromarray(grey).save(png)
    (tmp_path / "fer2013.csv").write_text(csv_of([(3, grey, "PublicTest")]), encoding="utf-8")

    def served(picture):
        return predictor.predict(picture, "none")[0].picture[None]

    paths = {
        "csv": open_dataset(tmp_path / "fer2013.csv").images(spec),
        "folder": open_dataset(tmp_path / "folder").images(spec),
        "upload": served(decode(png.read_bytes())),
        "camera": served(np.repeat(grey[..., None], 3, axis=2)),
    }
    wanted = torch.from_numpy(grey)[None, None].float() / 255.0
    for name, pictures in paths.items():
        tensor = normalise(to_tensor(pictures), spec)
        assert torch.equal(tensor, (wanted - 0.5) / 0.5), name


def as_in_fer2013():
    """The portrait's face as FER2013 would hold it: 48 x 48, grey."""
    return fit(astronaut()[60:170, 170:280], ImageSpec(height=48, width=48))


def test_every_grey_survives_the_grey_conversion():
    greys = np.arange(256, dtype=np.uint8).reshape(16, 16)
    colour = np.repeat(greys[..., None], 3, axis=2)
    assert (fit(colour, ImageSpec(height=16, width=16)) == greys).all()


def test_a_lossless_upload_in_colour_and_a_camera_frame_of_it_are_the_same_to_the_network(predictor, portrait):
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "PNG")
    (uploaded,), (seen,) = predictor.predict(decode(buffer.getvalue())), predictor.predict(portrait)
    assert (uploaded.picture == seen.picture).all()


def test_another_detectors_boxes_are_brought_to_the_framing_of_the_card():
    # FER2013 frames a face 0.94 of mtcnn's box and 1.02 of haar's, so the same framing is 1.02 / 0.94 times as large.
    card = FaceCrop(detector="mtcnn", margin=0.2)
    assert framed_for(card, "mtcnn") == card
    assert framed_for(card, "haar").margin == pytest.approx(1.2 * 1.02 / 0.94 - 1)
    assert framed_for(FaceCrop(detector="none", margin=0), "haar").margin == pytest.approx(0.02)


def test_unknown_detectors_and_things_that_are_no_picture_are_refused(predictor, portrait):
    with pytest.raises(UnknownName, match="mtcnn"):
        predictor.predict(portrait, "mtcn")
    for wrong in (portrait.astype(float), np.zeros((0, 5), np.uint8), np.zeros((4, 4, 3, 1), np.uint8)):
        with pytest.raises(ImageError, match="uint8"):
            predictor.predict(wrong)


def test_a_network_whose_training_failed_is_named(predictor, portrait):
    for weights in predictor.model.parameters():
        weights.data.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="untrained is not finite"):
        predictor.predict(portrait, "none")


def test_threads_that_predict_and_explain_at_once_get_what_one_gets(predictor, portrait):
    small = portrait[40:180, 150:300]
    alone = predictor.predict(small, "none")
    laid, limit = predictor.explain(small, alone)

    def work(number: int):
        (prediction,) = predictor.predict(small, "none")
        return prediction.probs, predictor.explain(small, [prediction]) if number % 2 else (laid, limit)

    with ThreadPoolExecutor(4) as pool:
        for probs, (picture, scale) in pool.map(work, range(12)):
            assert probs == pytest.approx(alone[0].probs)
            assert scale == pytest.approx(limit)
            assert np.abs(picture.astype(int) - laid).max() <= 1


@pytest.mark.parametrize("upright", [False, True])
def test_a_crops_pixels_lie_where_its_placement_says(upright):
    rows, columns = np.mgrid[:256, :256].astype(np.uint8)
    points = np.float32([[100, 100], [140, 124], [120, 130], [100, 150], [130, 165]])  # the eyes slope by 31 degrees
    face = Face((80.3, 75.8, 70, 90), None, points)
    side, to_image = placement(face, 0.1, upright)
    assert side == 99
    for image, axis in ((columns, 0), (rows, 1)):
        cut = crop(image, face, 0.1, upright)
        assert cut.shape == (99, 99)
        for y, x in ((0, 0), (10, 80), (98, 98), (49, 3)):
            assert cut[y, x] == pytest.approx((to_image @ (x, y, 1))[axis], abs=0.6)  # half a grey, and the rounding


@pytest.mark.parametrize(
    "framing",
    [
        FaceCrop(margin=0.2),
        FaceCrop(margin=0.1, align="upright"),
        FaceCrop(align="eyes", side=96),
        FaceCrop(detector="none"),
    ],
    ids=["cut", "turned", "by the eyes", "whole image"],
)
def test_a_map_laid_on_the_photo_is_the_map_again_when_its_face_is_cut_out(framing):
    wave = np.sin(np.linspace(0, 6, 48))
    one = (100 * np.outer(wave, wave) + 100).astype(np.float32)
    points = np.float32([[220, 200], [260, 224], [240, 230], [220, 250], [250, 265]])
    box = (0, 0, 500, 400) if framing.detector == "none" else (200, 175, 70, 90)
    prediction = Prediction(Face(box, None, points), framing, {}, np.zeros((48, 48), np.uint8))
    photo = _on_photo(one, prediction, (400, 500))
    assert photo.shape == (400, 500)
    cut = framing.cut(photo.round().astype(np.uint8), prediction.face)
    again = cv2.resize(cut, (48, 48), interpolation=cv2.INTER_AREA)
    inner = np.s_[2:-2, 2:-2]  # at the rim it fades into the nothing around it
    assert again[inner].astype(float) == pytest.approx(one[inner], abs=3)


def test_the_overlay_changes_the_face_and_nothing_else(predictor, portrait):
    predictions = predictor.predict(portrait)
    laid, limit = predictor.explain(portrait, predictions)
    left, top, width, height = predictions[0].face.box
    reach = max(width, height) / 2 + 4
    rows, columns = np.mgrid[:512, :512]
    outside = np.maximum(abs(columns - left - width / 2), abs(rows - top - height / 2)) > reach
    assert limit > 0
    assert (laid[outside] == portrait[outside]).all()
    assert (laid[~outside] != portrait[~outside]).any()
    assert predictor.explain(portrait, [])[0] is portrait


def test_a_scale_given_from_before_keeps_a_weak_map_weak(predictor, portrait):
    predictions = predictor.predict(portrait)
    strong, limit = predictor.explain(portrait, predictions)
    weak, kept = predictor.explain(portrait, predictions, limit=10 * limit)
    assert kept == pytest.approx(10 * limit)
    change = [np.abs(picture.astype(int) - portrait).sum() for picture in (weak, strong)]
    assert change[0] < change[1] / 3


def test_a_checkpoint_folder_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"card\.json"):
        Predictor(tmp_path)
