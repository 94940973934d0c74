"""Which data set of this machine a predictions table is shown with."""

from pathlib import Path

from dashboard import cache
from fer_core.datasets import open_dataset
from fer_core.datasets.known import add
from tests.app.examples import make_pictures, predictions_on


def test_a_table_is_shown_with_the_set_of_its_name_although_another_has_all_its_images(tmp_path: Path) -> None:
    small = make_pictures(tmp_path / "small", each=1)
    large = make_pictures(tmp_path / "large", each=2)
    for place in (large, small):  # the first names and numbers in both hold the same noise
        add(place)
        open_dataset(place)
    table = predictions_on(open_dataset(small), "val")
    found = cache.dataset_of(table)
    assert found is not None
    assert found.name == "small"


def test_a_table_of_a_set_that_is_gone_is_shown_with_another_that_has_its_images(tmp_path: Path) -> None:
    place = make_pictures(tmp_path / "copy", each=2)
    add(place)
    table = predictions_on(open_dataset(place), "val")
    renamed = type(table)(table.table.assign(dataset="original"))
    found = cache.dataset_of(renamed)
    assert found is not None
    assert found.name == "copy"
