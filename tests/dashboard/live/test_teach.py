"""The tab Teach, as its page is fed: photos of rendered heads, a head that learns them, and what is said when it cannot."""

import io
from pathlib import Path

import pytest
from PIL import Image

from dashboard.live import teach
from dashboard.live.teach import EACH, Lesson
from fer_core.faces import find_faces
from tests.faces import face

NETWORK = ["mini-xception"]


def photo(label: str, number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(face(label, number)).save(buffer, "PNG")
    return buffer.getvalue()


def lesson_of(**counts: int) -> Lesson:
    lesson = Lesson()
    for label, count in counts.items():
        for number in range(count):
            data = photo(label, number)
            lesson.keep(label, data, find_faces(face(label, number), "none")[0])
    return lesson


def test_a_recording_ends_with_ten_images_and_what_they_teach_stands_beside_the_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(teach, "BETWEEN", 0.0)
    lesson = lesson_of(surprise=EACH)
    teach.start("happy", lesson)
    for number in range(EACH + 2):
        view, told, lesson = teach.show(photo("happy", number), NETWORK, "none", "card", 0.0, lesson)
    assert {name: len(images) for name, images in lesson.images.items()} == {"surprise": EACH, "happy": EACH}
    assert "Images: surprise 10, happy 10." in told
    assert "Your own classifier" not in view
    said, lesson = teach.learn(NETWORK, "none", "card", lesson)
    assert "Your own classifier has learned surprise, happy from 20 images." in said
    assert f"{lesson.head.correct} of 20" in said
    view, _, lesson = teach.show(photo("happy", 0), NETWORK, "none", "card", 0.0, lesson)
    assert "Your own classifier: happy" in view
    other, _, lesson = teach.show(photo("happy", 0), ["small-vgg"], "none", "card", 0.0, lesson)
    assert "Your own classifier" not in other  # it has learned the features of another network
    told, *_ = teach.forget(lesson)
    assert (lesson.images, lesson.head, lesson.missing) == ({}, None, 0)
    assert "Images: none yet." in told


def test_what_cannot_be_learned_gets_a_sentence() -> None:
    for lesson, sentence in (
        (Lesson(), "There are images of none so far"),
        (lesson_of(happy=6), "of happy alone so far; record a second expression"),
        (lesson_of(happy=6, sad=2), "Too few: sad (2). Record more of them."),
    ):
        said, lesson = teach.learn(NETWORK, "none", "card", lesson)
        assert 'role="alert"' in said
        assert sentence in said
        assert lesson.head is None


def test_a_photo_without_a_face_or_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "damaged.png").write_bytes(b"no image")
    Image.new("L", (200, 200), 120).save(tmp_path / "empty.png")
    (tmp_path / "good.png").write_bytes(photo("happy", 0))
    lesson = Lesson()
    told, lesson, _ = teach.add(
        [str(tmp_path / "damaged.png"), str(tmp_path / "empty.png")], "happy", NETWORK, "mtcnn", lesson
    )
    assert "damaged.png: " in told
    assert "empty.png: No face was found in it, so it was left out." in told
    assert "Images: none yet." in told
    told, lesson, _ = teach.add([str(tmp_path / "good.png")], "happy", NETWORK, "none", lesson)
    assert "Images: happy 1." in told
    assert "alert" not in told
