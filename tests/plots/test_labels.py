from typing import Any

import pytest

from seethrough.data.catalogue import NAMES
from seethrough.models.vae_sae import POSITIONS
from seethrough.plots import labels
from seethrough.results import StudyResult
from seethrough.studies.cells import METHODS, Cell


def test_every_condition_has_its_words_and_marks() -> None:
    assert labels.METHODS.keys() == labels.METHOD_COLORS.keys() == set(METHODS)
    assert labels.POSITIONS.keys() == labels.POSITION_MARKERS.keys() == set(POSITIONS)
    assert labels.DATASETS.keys() == set(NAMES)
    for words in (labels.METHODS, labels.METHOD_COLORS, labels.POSITION_MARKERS, labels.DATASETS):
        assert len(set(words.values())) == len(words)


def test_a_name_gives_its_cell_back() -> None:
    cell = Cell(dataset="shapes3d", method="l1_cosine", position="latent", width=1000)
    assert labels.cell_of(cell.name) == cell
    with pytest.raises(ValueError, match="'beside/500', allowed is dataset/method/position/width"):
        labels.cell_of("beside/500")


def test_labels_name_what_differs() -> None:
    narrow, wide = Cell(width=500), Cell(width=1000)
    assert labels.cell_labels([narrow, Cell(method="l1", width=500)]) == ["Top-k", "L1"]
    assert labels.cell_labels([narrow, wide]) == ["Top-k, 500 units", "Top-k, 1000 units"]
    both = labels.cell_labels([narrow, Cell(position="latent")], with_dataset=True)
    assert both == ["dSprites, Top-k, beside", "dSprites, Top-k, latent mean"]
    assert labels.cell_text(wide, with_dataset=False) == "Top-k, beside, 1000 units"


def test_cells_are_grouped_in_their_order() -> None:
    names = ["shapes3d/l1/beside/9", "dsprites/l1/beside/9", "shapes3d/top_k/beside/9"]
    groups = labels.by_dataset(names)
    assert list(groups) == ["shapes3d", "dsprites"]
    assert [cell.method for cell in groups["shapes3d"]] == ["l1", "top_k"]


def test_published_images_are_not_called_rendered(make_result: Any) -> None:
    result: StudyResult = make_result({"a": [1.0]}, dsprites_path="dsprites.npz", shapes3d_path="")
    assert labels.dataset_title("dsprites_rgb", result) == labels.DATASETS["dsprites_rgb"]
    assert labels.dataset_title("shapes3d", result) == "Shapes3D (re-rendered)"
    assert labels.dataset_title("dsprites") == "dSprites (re-rendered)"
