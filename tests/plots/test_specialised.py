from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pytest
import torch
from matplotlib.figure import Figure

from seethrough.metrics.specialised_units import SpecialisedUnits
from seethrough.plots import specialised
from seethrough.plots.style import use_style
from seethrough.provenance import Provenance
from seethrough.results import Row, Series, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cells import Cell
from seethrough.studies.collapse_specialised import Parameters
from seethrough.studies.squeeze import train_cells

mpl.use("Agg")
use_style()

TOP_K, L1 = "dsprites/top_k/beside/10", "dsprites/l1/beside/10"
ROOMS, WIDE = "shapes3d/top_k/beside/10", "dsprites/top_k/beside/20"
FACTORS = {"dsprites": ("shape", "posX"), "shapes3d": ("wall_hue",)}


def run(counts: Mapping[str, Sequence[float]]) -> StudyResult:
    """A run with these specialised units per seed; 3 others live; 1 specialised by chance."""
    rows: list[Row] = []
    for cell, numbers in counts.items():
        special = [float(number) for number in numbers]
        dataset, *_, width = cell.split("/")
        values = {
            "specialised_last": special,
            "specialised_shuffled_last": [1.0] * len(special),
            "other_units": [3.0] * len(special),
            "dead_units": [float(width) - 3 - s for s in special],
            "specialised_pooled": [sum(special)],
            "factors_covered": [1.0] * len(special),
            **{f"specialised_in_{name}": special for name in FACTORS[dataset]},
        }
        rows += [Row(f"{name}/{cell}", name, {}, "units", tuple(v)) for name, v in values.items()]
    series = [
        Series(f"{name}/{cell}", name, {}, "units", "epoch", (1.0, 3.0), ((0.0, value),))
        for cell, special in counts.items()
        for name, value in (("specialised", float(special[0])), ("specialised_shuffled", 1.0))
    ]
    provenance = Provenance(
        parameters={"n_train": 64, "epochs": 3}, seeds=(0, 1), profile="custom", device="cpu",
        threads=1, versions={}, git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("collapse_specialised", tuple(rows), tuple(series), provenance)


def labelled(figure: Figure, label: str) -> list[tuple[float, float]]:
    """First point of every line with this label, in all axes."""
    return [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for axes in figure.axes
        for line in axes.lines
        if line.get_label() == label
    ]


def test_bars_add_up_to_the_width_and_stand_where_their_cell_does() -> None:
    figure = specialised.counts({"this run": run({TOP_K: (2, 4), ROOMS: (5, 5)})})
    bars = [(bar.get_x(), bar.get_width()) for bar in figure.axes[0].patches]
    # 3 specialised on average, then 3 others, then the dead of ten units.
    assert bars == [(0, 3), (3, 3), (6, 4), (0, 5), (5, 3), (8, 2)]
    assert labelled(figure, "reported by a post") == [(479, 0), (86, 1)]
    assert labelled(figure, "factors shuffled") == [(1, 0), (1, 1)]
    words = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert words == ["dSprites, Top-k", "Shapes3D, Top-k"]


@pytest.mark.parametrize(
    ("cell", "count"),
    [
        (Cell(dataset="shapes3d", method="l1", width=2048), 86),
        (Cell(dataset="dsprites", method="top_k_open"), None),
        (Cell(dataset="dsprites_rgb"), None),
    ],
)
def test_a_count_is_reported_for_two_data_sets_under_a_squeeze(
    cell: Cell, count: int | None
) -> None:
    assert specialised.reported_count(cell) == count


def test_cells_that_one_run_lacks_are_left_empty() -> None:
    runs = {"reference run": run({TOP_K: (2, 4), WIDE: (1, 1)}), "this run": run({L1: (0, 0)})}
    left, right = specialised.counts(runs).axes
    assert [len(axes.patches) for axes in (left, right)] == [6, 3]
    assert right.patches[0].get_y() + right.patches[0].get_height() / 2 == 2
    assert left.get_ylim() == right.get_ylim()


def test_factors_have_one_number_per_cell() -> None:
    figure = specialised.by_factor({"this run": run({TOP_K: (2, 4), L1: (0, 0), ROOMS: (5, 5)})})
    sprites, rooms = figure.axes
    assert [text.get_text() for text in sprites.texts] == ["3", "3", "0", "0"]
    assert [text.get_text() for text in rooms.texts] == ["5"]
    assert [label.get_text() for label in sprites.get_xticklabels()] == ["shape", "posX"]
    assert sprites.get_title(loc="left") == "dSprites, this run"


def test_a_run_without_a_data_set_has_an_empty_panel() -> None:
    runs = {"reference run": run({TOP_K: (2, 4)}), "this run": run({ROOMS: (5, 5)})}
    axes = specialised.by_factor(runs).axes
    assert [len(panel.texts) for panel in axes] == [2, 0, 0, 1]
    assert not axes[1].axison


def test_curves_belong_to_one_place_and_width() -> None:
    runs = {"reference run": run({WIDE: (9, 9)}), "this run": run({TOP_K: (2, 2), L1: (4, 4)})}
    figure = specialised.by_epoch(runs, "beside", 10)
    (axes,) = figure.axes
    ends = {str(line.get_label()): float(line.get_ydata()[-1]) for line in axes.lines}
    assert ends == {"Top-k": 2, "L1": 4, "factors shuffled": 1}
    assert axes.get_title(loc="left") == "dSprites, this run"


def test_curves_at_zero_do_not_fill_the_panel() -> None:
    zero = specialised.by_epoch({"this run": run({TOP_K: (0, 0)})}, "beside", 10)
    assert zero.axes[0].get_ylim()[1] >= 1


def test_the_table_worked_by_hand() -> None:
    table = specialised.counts_table({"this run": run({TOP_K: (2, 2), ROOMS: (0, 0)})})
    # 2 of 2 + 3 live units are 40 %; two seeds of 2 are 4 of 2 x 10.
    assert table.data.splitlines()[2:] == [
        "| dSprites, Top-k | this run | 2 (2 to 2) | 1 (1 to 1) | 5 (5 to 5) "
        "| 40\N{NARROW NO-BREAK SPACE}% (40 to 40) | 4 of 2 × 10 | 1.0 (1.0 to 1.0) of 2 | 479 |",
        "| Shapes3D, Top-k | this run | 0 (0 to 0) | 1 (1 to 1) | 3 (3 to 3) "
        "| 0\N{NARROW NO-BREAK SPACE}% (0 to 0) | 0 of 2 × 10 | 1.0 (1.0 to 1.0) of 1 | 86 |",
    ]


def test_no_share_where_nothing_is_alive() -> None:
    dead = Row("a", "a", {}, "units", (0.0, 0.0))
    assert specialised.share_of_live(dead, Row("b", "b", {}, "units", (0.0, 2.0))) is None


def units(specialised_: list[bool], alive: list[bool]) -> SpecialisedUnits:
    """Four units whose information about factor 0 is 0.4, 0.3, 0.2, 0.1, about factor 1 less."""
    information = torch.tensor([[0.4, 0.1], [0.3, 0.1], [0.2, 0.1], [0.1, 0.3]]).double()
    return SpecialisedUnits(
        specialised=torch.tensor(specialised_),
        factor=torch.tensor([0, 0, 0, 1]),
        normalised=information,
        alive=torch.tensor(alive),
    )


@pytest.mark.parametrize(
    ("own", "alive", "factor", "expected"),
    [
        ([False, False, True, True], [True] * 4, 0, (2, True)),
        ([False, True, True, True], [True] * 4, 0, (1, True)),
        ([False] * 4, [False, True, True, True], 0, (1, False)),
        ([True, False, False, False], [True] * 4, 1, (3, False)),
    ],
)
def test_a_factor_is_spoken_for_by_its_best_unit(
    own: list[bool], alive: list[bool], factor: int, expected: tuple[int, bool]
) -> None:
    assert specialised.speaker(units(own, alive), factor) == expected


@pytest.mark.parametrize(("dataset", "n_factors"), [("dsprites", 5), ("shapes3d", 6)])
def test_pictures_have_one_row_per_factor(
    dataset: str, n_factors: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    parameters = Parameters(
        datasets=(dataset,), methods=("top_k",), widths=(30,), n_train=16, n_heldout=32,
        k_start=20, k_end=4, epochs=1, batch_size=16, seeds=(0,),
    )  # fmt: skip
    store = ArtifactStore(tmp_path_factory.mktemp("store"))
    (cell,) = train_cells(parameters, parameters.cells(), store)
    figure = specialised.speakers(cell.layers[0], n_images=3)
    labels = [axes.get_ylabel().strip("()") for axes in figure.axes]
    assert labels == list(cell.layers[0].vae.dataset.factor_names)
    assert len(labels) == n_factors
    title = figure.axes[0].get_title(loc="left")
    assert title.endswith("(re-rendered)"), title
