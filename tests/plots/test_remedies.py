from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.container import BarContainer

from seethrough.plots import remedies as figures
from seethrough.plots.style import use_style
from seethrough.provenance import Provenance
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import collapse_remedies
from seethrough.studies.collapse_remedies import Arm, Parameters

mpl.use("Agg")

TINY: dict[str, Any] = {
    "n_train": 24, "n_heldout": 48, "k_start": 30, "k_end": 4, "epochs": 3, "batch_size": 16,
    "seeds": (0, 1), "datasets": ("dsprites",), "widths": (60,), "small_width": 8,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _style() -> Any:
    use_style()
    yield
    plt.close("all")


def made(arms: list[tuple[str, str, int]], shift: float = 0.0) -> StudyResult:
    """A result with three seeds per arm, made up; arm number a has the dead share a / 10."""
    rows = []
    for place, (dataset, remedy, width) in enumerate(arms):
        dead = place / 10 + shift
        measured = {
            "dead_share": dead, "dead_share_by_relu": dead / 4, "dead_share_by_top_k": 3 * dead / 4,
            "unexplained": 0.01 * (place + 1), "predicted_dead_share": 0.5,
            "untrained_dead_share": 0.25,
        }  # fmt: skip
        rows += [
            Row(f"{name}/{dataset}/{remedy}/{width}", name, {}, "1", (m - 0.01, m, m + 0.01))
            for name, m in measured.items()
        ]
    provenance = Provenance(
        parameters={"n_train": 24, "epochs": 3, "k_end": 4}, seeds=(0, 1, 2), profile="custom",
        device="cpu", threads=1, versions={}, git_commit=None, git_dirty=False, seconds=1.0,
    )  # fmt: skip
    return StudyResult("collapse_remedies", tuple(rows), (), provenance)


ARMS = [
    ("dsprites", "baseline", 60), ("dsprites", "auxk", 60), ("dsprites", "centred", 60),
    ("dsprites", "baseline", 90), ("dsprites", "small_dictionary", 8),
    ("shapes3d", "baseline", 60), ("shapes3d", "centred", 60),
]  # fmt: skip


def test_arms_come_in_the_order_of_the_remedies() -> None:
    names = [arm.name for arm in figures.arms_of(made(ARMS[::-1][:2]), made(ARMS), None)]
    assert names == [
        "shapes3d/baseline/60", "shapes3d/centred/60", "dsprites/baseline/60",
        "dsprites/baseline/90", "dsprites/centred/60", "dsprites/auxk/60",
        "dsprites/small_dictionary/8",
    ]  # fmt: skip


def test_bars_are_the_reference_and_diamonds_this_run() -> None:
    reference, result = made(ARMS), made(ARMS[:3], shift=0.05)
    figure = figures.dead_by_remedy(reference, result, 60)
    left, right = figure.axes
    bars = [c for c in left.containers if isinstance(c, BarContainer)]
    widths = [float(bar.patches[0].get_width()) for bar in bars]
    assert [a + b for a, b in zip(widths[::2], widths[1::2], strict=True)] == pytest.approx(
        [0.0, 0.2, 0.1]  # baseline, centred, AuxK
    )
    assert widths[::2] == pytest.approx([0.0, 0.05, 0.025])  # a quarter of it by ReLU
    diamonds = [float(line.get_xdata()[0]) for line in left.lines if line.get_marker() == "D"]
    assert diamonds == pytest.approx([0.05, 0.25, 0.15])
    assert [text.get_text() for text in left.get_yticklabels()] == ["baseline", "centred", "AuxK"]
    assert not [line for line in right.lines if line.get_marker() == "D"]
    assert [axes.get_title(loc="left") or axes.get_title() for axes in figure.axes] == [
        "dSprites (re-rendered)", "Shapes3D (re-rendered)"
    ]  # fmt: skip


def test_bars_of_this_run_are_pale_where_there_is_no_reference() -> None:
    (axes,) = figures.dead_by_remedy(None, made(ARMS[:3]), 60).axes
    bars = [c for c in axes.containers if isinstance(c, BarContainer)]
    assert {bar.patches[0].get_alpha() for bar in bars} == {0.45}


def test_every_remedy_is_a_mark_with_its_seeds() -> None:
    figure = figures.dead_against_unexplained({"this run": made(ARMS)}, 60)
    left, right = figure.axes
    marks = {str(line.get_label()): line for line in left.lines}
    assert {"baseline", "AuxK", "centred", "5 %"} <= set(marks)
    assert float(marks["centred"].get_xdata()[0]) == pytest.approx(0.03)
    assert float(marks["centred"].get_ydata()[0]) == pytest.approx(0.2)
    dots = [line for line in left.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [3, 3, 3]
    assert left.get_xscale() == "log"
    assert (right.get_title() or right.get_title(loc="left")) == "Shapes3D, this run"


def test_predictions_stand_beside_both_measurements() -> None:
    figure = figures.predictions({"this run": made(ARMS)}, 60)
    for axes, expected in zip(figure.axes, ([0.25] * 3, [0.0, 0.2, 0.1]), strict=True):
        line = next(line for line in axes.lines if line.get_label() == "dSprites")
        assert list(line.get_xdata()) == [0.5] * 3
        assert list(line.get_ydata()) == pytest.approx(expected)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[Arm, Any]:
    store = ArtifactStore(tmp_path_factory.mktemp("store"))
    return collapse_remedies.train_arms(Parameters(**TINY, remedies=("centred",)), store)


def test_a_map_for_every_remedy_of_the_width(trained: dict[Arm, Any]) -> None:
    maps = figures.remedy_maps(trained, 60)
    assert list(maps) == ["baseline", "centred"]
    assert len(set(maps.values())) == 2
    assert all(picture.startswith(b"\x89PNG") for picture in maps.values())


def test_maps_tell_the_dead_share(trained: dict[Arm, Any]) -> None:
    figure = figures.remedy_map_pair(trained, 60, ["centred", "baseline"])
    titles = [axes.get_title() or axes.get_title(loc="left") for axes in figure.axes]
    for title, remedy in zip(titles, ("centred", "baseline"), strict=True):
        layer = trained[Arm(dataset="dsprites", remedy=remedy, width=60)][0]
        dead = int((layer.history.activity(-1).fired_count == 0).sum())
        assert title.startswith(f"dSprites, {remedy}: {100 * dead / 60:.1f} % of 60 units dead")
