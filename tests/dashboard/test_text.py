"""Numbers and names as people read them."""

import pytest

from dashboard.text import estimate, images
from fer_core.datasets import READERS
from fer_core.datasets.titles import dataset_title, split_title, table_in_words, table_title
from fer_core.evaluation.intervals import Interval


@pytest.mark.parametrize(
    ("key", "title", "words"),
    [
        ("fer2013-val", "FER2013, validation set", "the FER2013 validation set"),
        ("fer2013-train+val", "FER2013, training and validation set", "the FER2013 training and validation set"),
        ("my-own-faces-test", "my-own-faces, test set", "the my-own-faces test set"),
        ("fer2013-crossval", "FER2013, split crossval", "split crossval of FER2013"),
    ],
)
def test_a_table_has_a_name_and_no_key(key: str, title: str, words: str) -> None:
    assert table_title(key) == title
    assert table_in_words(key) == words


def test_every_data_set_that_a_reader_names_has_a_title_without_its_layout() -> None:
    for _, reader in READERS.items():
        if reader.dataset:
            assert "(" not in dataset_title(reader.dataset)
            assert dataset_title(reader.dataset)
    assert dataset_title("nobody-s-set") == "nobody-s-set"
    assert dataset_title("heads-relabelled") == "Rendered heads (corrected labels)"
    assert dataset_title("nobody-s-set-relabelled") == "nobody-s-set (corrected labels)"


def test_a_split_of_ones_own_keeps_its_name() -> None:
    assert split_title("val") == "validation set"
    assert split_title("hard+val") == "split hard+val"


def test_an_estimate_has_its_interval_and_n_the_first_time() -> None:
    bounds = Interval(0.706, 0.736)
    plain = estimate(0.721, bounds, 3589).replace("\N{NO-BREAK SPACE}", " ")
    assert plain == "**72.1 %** (95 % CI 70.6 to 73.6, n = 3,589)"
    assert estimate(0.721, bounds).replace("\N{NO-BREAK SPACE}", " ") == "**72.1 %** (95 % CI 70.6 to 73.6)"


def test_one_image_is_no_plural() -> None:
    assert [images(n) for n in (0, 1, 3589)] == ["0 images", "1 image", "3,589 images"]
