"""Copies that were made by augmentation before the split: found by name and by pixels."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_core.datasets import open_dataset
from fer_core.datasets.copies import match_moved, moved_copies, named_copies, stem
from fer_core.datasets.leaks import leaks_of


def faces(n: int, seed: int = 0) -> np.ndarray:
    """Smooth random images, as different from each other as faces are from landscapes."""
    random = np.random.default_rng(seed)
    rough = random.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    return np.stack([cv2.resize(one, (48, 48), interpolation=cv2.INTER_CUBIC) for one in rough])


def moved(image: np.ndarray, turn: float, across: float, down: float) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((23.5, 23.5), turn, 1.0)
    matrix[:, 2] += (across, down)
    return cv2.warpAffine(image, matrix, (48, 48), borderMode=cv2.BORDER_REFLECT)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("happy/im12_rot5.png", "im12"),
        ("im12_flip.jpg", "im12"),
        ("im12 (1).png", "im12"),
        ("im12 - Copy.png", "im12"),
        ("im12_jpg.rf.0123456789abcdef.jpg", "im12_jpg"),
        ("im12_aug_3.png", "im12"),
        ("im12.png", "im12"),
        ("S010_004_00000017.png", "S010_004_00000017"),
    ],
)
def test_marks_of_augmentation_are_taken_from_a_name(name: str, expected: str) -> None:
    assert stem(name) == expected


def write(root: Path, files: dict[str, np.ndarray]) -> Path:
    for name, image in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / name)
    return root


def test_a_turned_and_a_shifted_copy_are_found_where_they_lie_hidden(tmp_path: Path) -> None:
    """`data leaks` said “none” of a set that was augmented before it was split."""
    there, others = faces(12), faces(6, seed=1)
    files = {f"train/{'happy' if i % 2 else 'sad'}/{i:02d}.png": image for i, image in enumerate(there)}
    files |= {
        "val/happy/a.png": moved(there[1], 8, 0, 0),
        "val/happy/b.png": moved(there[3], 0, 4, 2),
        "val/happy/c.png": moved(there[5], -7, 3, -2)[:, ::-1],
        **{f"val/sad/{i}.png": image for i, image in enumerate(others)},
    }
    dataset = open_dataset(write(tmp_path / "set", files))
    assert leaks_of(dataset, "val").empty
    found = moved_copies(dataset, "val")
    twins = {a.rsplit("/", 1)[-1]: b.rsplit("/", 1)[-1] for a, b in zip(found["id"], found["twin"], strict=True)}
    assert twins == {"a.png": "01.png", "b.png": "03.png", "c.png": "05.png"}


def test_images_of_different_things_are_no_copies() -> None:
    assert match_moved(faces(20, seed=3), faces(40, seed=4)) == []


def test_a_copy_is_found_by_its_name_and_numbering_alone_is_no_sign(tmp_path: Path) -> None:
    images = faces(6)
    files = {
        "train/happy/p1.png": images[0],
        "train/sad/0.png": images[1],
        "train/sad/p2_flip.png": images[2],
        "val/happy/p1_rot10.png": images[3],
        "val/sad/0.png": images[4],
        "val/sad/p2.png": images[5],
    }
    dataset = open_dataset(write(tmp_path / "set", files))
    found = named_copies(dataset, "val")
    assert sorted(name.rsplit("/", 1)[-1] for name in found["id"]) == ["p1_rot10.png", "p2.png"]
