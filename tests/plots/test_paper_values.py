from seethrough.checkout import checkout_root
from seethrough.claims import loading
from seethrough.plots.labels import cell_of
from seethrough.plots.paper_values import PAPER_DEAD, paper_dead, paper_dead_text
from seethrough.studies.cells import Cell


def test_values_are_those_of_the_ledger() -> None:
    root = checkout_root()
    assert root is not None
    found = set()
    for claim in loading.load(root / "book" / "claims.yml"):
        if claim.rule == "within_two_sd" and claim.rows[0].startswith("dead_share/"):
            cell = cell_of(claim.rows[0].removeprefix("dead_share/"))
            assert claim.value is not None
            assert paper_dead(cell) == (claim.value.mean, claim.value.sd), claim.id
            found.add((cell.dataset, cell.sparsifier))
    assert found == PAPER_DEAD.keys()


def test_place_and_width_do_not_matter_but_the_squeeze_does() -> None:
    assert paper_dead(Cell(position="latent", width=9)) == paper_dead(Cell())
    assert paper_dead(Cell(method="top_k_cosine")) == paper_dead(Cell())
    for method in ("top_k_constant", "top_k_open", "l1_constant"):
        assert paper_dead(Cell(method=method)) is None
    assert paper_dead(Cell(dataset="dsprites_rgb")) is None


def test_text() -> None:
    assert paper_dead_text(Cell(dataset="shapes3d", method="l1")) == "90.6 ± 0.5 %"
    assert paper_dead_text(Cell(method="top_k_open")) == "not given"
