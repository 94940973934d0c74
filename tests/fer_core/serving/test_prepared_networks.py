"""A network that learned prepared faces is served with the same preparation, once, whatever way an image comes."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from fer_core.checkpoint import load_network, read_card
from fer_core.datasets import Dataset, open_dataset
from fer_core.datasets.preparation import prepare
from fer_core.errors import ConfigError, DataError
from fer_core.evaluation.predict import predict_checkpoint
from fer_core.faces import FOR_PHOTOS, FaceCrop
from fer_core.faces.illumination import LIGHT
from fer_core.images import ImageSpec, Preparation, decode, fit, normalise, to_tensor
from fer_core.runs.folder import RunFolder
from fer_core.serving.export import export_onnx
from fer_core.serving.predictor import Predictor
from fer_core.training.loop import Trainer
from fer_core.workspace import CHECKPOINTS
from tests.tiny import tiny
from tests.untrained import untrained

WAYS = {
    "light": Preparation(detector="none", size=48, light=("clahe",)),
    "eyes and light": Preparation(align="eyes", size=48, light=("clahe", "gamma")),
    "level, lit larger": Preparation(align="upright", size=64, light=("dog",)),
    "lit as cut": Preparation(align="eyes", light=("dct",)),
}


def prepared(source: Path, target: Path, way: Preparation) -> Dataset:
    """As `prepare` writes it, without its processes, which take seconds to start."""
    dataset, rows = open_dataset(source), []
    for row, (image, split, label) in enumerate(dataset.index[["id", "split", "label"]].to_numpy()):
        picture = dataset.picture(row)
        file = target / split / label / f"{row}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(way.cut(picture, way.find(picture)[0])).save(file)
        rows.append(f"{image},{split},{label},{file.relative_to(target)}")
    (target / "prepared.csv").write_text("\n".join(["id,split,label,file", *rows]), encoding="utf-8")
    (target / "prepare.json").write_text(way.model_dump_json(), encoding="utf-8")
    return open_dataset(target)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("colour", [False, True], ids=["48 x 48 grey", "photo"])
def test_the_same_png_gives_bit_identical_tensors_by_every_way(tmp_path, csv_of, way, colour) -> None:
    picture = astronaut()[40:190, 150:300] if colour else fit(astronaut()[60:170, 170:280], ImageSpec())
    spec = ImageSpec(preparation=way)
    face = way.framing if way.detector != "none" else FaceCrop()
    predictor = Predictor(untrained(image=spec, face=face))
    png = tmp_path / "folder" / "val" / "happy" / "face.png"
    png.parent.mkdir(parents=True)
    Image.fromarray(picture).save(png)

    def served(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        (prediction,) = predictor.predict(image, way.detector)
        return prediction.picture[None]

    folder = open_dataset(tmp_path / "folder")
    ways = {
        "folder": folder.images(spec),
        "upload": served(decode(png.read_bytes())),
        "camera": served(picture if colour else np.repeat(picture[..., None], 3, axis=2)),
        "an image looked at": predictor.predict_row(folder, 0).picture[None],
        "prepared set": prepared(tmp_path / "folder", tmp_path / "faces", way).images(spec),
    }
    if not colour:
        (tmp_path / "fer2013.csv").write_text(csv_of([(3, picture, "PublicTest")]), encoding="utf-8")
        ways["csv"] = open_dataset(tmp_path / "fer2013.csv").images(spec)
    # by hand: cut, then as large as prepared, then lit, then as large as the network takes
    by_hand = way.framing.cut(picture, way.find(picture)[0])
    by_hand = fit(by_hand, ImageSpec(height=way.size or len(by_hand), width=way.size or by_hand.shape[1]))
    for step in way.light:
        by_hand = LIGHT[step](by_hand)
    wanted = normalise(to_tensor(fit(by_hand, ImageSpec())[None]), spec)
    assert not np.array_equal(fit(by_hand, ImageSpec()), fit(picture, ImageSpec()))  # it does change the image
    for name, pictures in ways.items():
        assert bool((normalise(to_tensor(pictures), spec) == wanted).all()), name


def train(name: str, data: Dataset, **settings: object) -> Path:
    run = RunFolder.create(name, tiny(epochs=1, **settings), "somewhere")
    for _ in Trainer(run, data).epochs():
        pass
    return run.path


def test_a_card_keeps_the_preparation_and_the_unprepared_set_gives_the_same_answers(tmp_path, learnable) -> None:
    way = Preparation(detector="none", size=32, light=("clahe",))
    for _ in prepare(open_dataset(learnable), tmp_path / "faces", way, learnable, workers=1):
        pass
    faces = open_dataset(tmp_path / "faces")
    folder = train("learned-prepared", faces)
    card = read_card(folder)
    assert card.image.preparation == way
    assert card.face == FOR_PHOTOS
    of_prepared, _ = predict_checkpoint(folder, faces, "val")
    of_source, _ = predict_checkpoint(folder, open_dataset(learnable), "val")
    columns = [name for name in of_source.table.columns if name.startswith("logit")]
    assert columns
    one, other = (of.table.sort_values("id")[columns].to_numpy() for of in (of_prepared, of_source))
    assert np.array_equal(one, other)
    with pytest.raises(ConfigError, match="prepared with clahe already"):
        train("twice", faces, image={"height": 16, "width": 16, "light": ["gamma"]})


def test_a_recipe_evens_out_light_at_the_networks_size(learnable) -> None:
    dataset = open_dataset(learnable)
    folder = train("lit", dataset, image={"height": 24, "width": 24, "light": ["equalise"]})
    _, card = load_network(folder)
    pictures = dataset.images(card.image)
    small = fit(dataset.picture(5), ImageSpec(height=24, width=24))
    assert np.array_equal(pictures[5], LIGHT["equalise"](small))
    assert np.array_equal(dataset.images(ImageSpec(height=24, width=24))[5], small)  # kept apart in the cache


def test_a_card_serves_faces_as_its_set_was_cut(tmp_path) -> None:
    root = tmp_path / "photos"
    for split in ("train", "val"):
        for number in range(4):
            file = root / split / ("happy" if number % 2 else "sad") / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.roll(astronaut()[:256, 96:352], number, axis=0)).save(file)
    faces = prepared(root, tmp_path / "faces", Preparation(detector="haar", margin=0.3, align="eyes", size=40))
    card = read_card(train("cut", faces, batch_size=2))
    assert card.face == FaceCrop(detector="haar", margin=0.3, align="eyes", side=40)


def test_what_cannot_be_undone_is_refused(tmp_path, learnable) -> None:
    lit = prepared(learnable, tmp_path / "lit", Preparation(detector="none", size=48, light=("clahe",)))
    other = ImageSpec(preparation=Preparation(detector="none", size=48, light=("gamma",)))
    with pytest.raises(
        DataError, match="prepared with clahe, align none, size 48, the network learned faces with gamma"
    ):
        lit.images(other)
    plain = prepared(learnable, tmp_path / "plain", Preparation(detector="none", size=48))
    assert np.array_equal(plain.images(other)[0], LIGHT["gamma"](plain.picture(0)))  # only the light is missing
    with pytest.raises(DataError, match="prepared faces already"):
        next(prepare(lit, tmp_path / "again", Preparation(detector="none"), tmp_path / "lit"))
    made = tmp_path / "both.toml"
    made.write_text('[[part]]\ndata = "lit"\n[[part]]\ndata = "plain"\n', encoding="utf-8")
    with pytest.raises(DataError, match="prepared with different light or alignment"):
        open_dataset(made)
    made.write_text('[[part]]\ndata = "lit"\n', encoding="utf-8")
    assert open_dataset(made).preparation == lit.preparation
    (tmp_path / "lit" / "prepare.json").write_text("{}x")
    with pytest.raises(DataError, match="how the faces were prepared cannot be read"):
        open_dataset(tmp_path / "lit")


def test_an_onnx_file_is_not_made_of_what_its_users_cannot_do(tmp_path) -> None:
    with pytest.raises(ConfigError, match="align none and light clahe"):
        export_onnx(untrained(image=ImageSpec(preparation=WAYS["light"])), tmp_path / "net.onnx")


def test_older_cards_still_load() -> None:
    assert FaceCrop.model_validate({"detector": "haar", "margin": 0.1, "upright": True}).align == "upright"
    for folder in CHECKPOINTS.iterdir():
        card = read_card(folder)
        assert card.face == FOR_PHOTOS
        assert card.image.preparation is None


@pytest.mark.parametrize(
    ("preparation", "framed"),
    [
        (None, FOR_PHOTOS),
        (Preparation(detector="none", size=48), FOR_PHOTOS),
        (Preparation(detector="mtcnn"), FaceCrop()),
    ],
    ids=["crops", "crops, resized", "cut out of photos"],
)
def test_an_older_card_of_crops_frames_photos_as_now_one_of_photos_keeps_its_own(preparation, framed) -> None:
    """Before networks stated it, all of crops had FER2013's framing in their cards, as those of photos framed so have."""
    folder = untrained(image=ImageSpec(preparation=preparation))
    path = folder / "card.json"
    card = json.loads(path.read_text())
    card["face"] = {"detector": "mtcnn", "margin": -0.06, "align": "none", "side": 0}
    path.write_text(json.dumps(card))
    assert read_card(folder).face == framed
