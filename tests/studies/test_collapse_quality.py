from typing import Any

from seethrough.store import ArtifactStore
from seethrough.studies.collapse_quality import REPRESENTATIONS, Parameters, run


def test_every_score_has_both_controls(store: ArtifactStore, tiny: dict[str, Any]) -> None:
    parameters = Parameters(
        **tiny | {"n_heldout": 200, "seeds": (0,)}, datasets=("dsprites",), methods=("top_k",),
        widths=(40,),
    )  # fmt: skip
    result = run(parameters, store)
    cell = "dsprites/top_k/beside/40"
    for name in REPRESENTATIONS:
        assert 0 <= result.row(f"sap_{name}/{cell}").mean <= 1
        assert 0 <= result.row(f"mig_{name}/{cell}").mean <= 1
    assert result.row(f"mig_mean/{cell}").unit == "score"
    # the code's own MIG is that of the study's curves
    assert result.row(f"mig_code_last/{cell}").mean >= 0
