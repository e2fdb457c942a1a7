from pathlib import Path
from typing import Any

import pytest

from seethrough.plots import readme_figure
from seethrough.plots.stack_slider import PNG_SIGNATURE


def test_the_figure_is_drawn_from_the_reference(
    make_result: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cell = "dsprites/top_k/in_path/500"
    rows = {f"{name}/{cell}": [0.1] for name in
            ("dead_share", "dead_share_by_relu", "dead_share_by_top_k")}  # fmt: skip
    monkeypatch.setattr(readme_figure, "reference_result", lambda study: make_result(rows))
    target = tmp_path / "figure.png"
    readme_figure.main(target)
    assert target.read_bytes().startswith(PNG_SIGNATURE)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]


def test_without_a_reference_it_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(readme_figure, "reference_result", lambda study: None)
    with pytest.raises(FileNotFoundError, match="run `make reference` first"):
        readme_figure.main(tmp_path / "figure.png")
