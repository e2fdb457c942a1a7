from pathlib import Path

import pytest
import torch

from seethrough.data import shapes3d
from seethrough.store import ArtifactStore
from seethrough.studies.shapes3d_maps import GeometryMaps, use_stored_maps

CLASSES = torch.tensor([[0, 1, 5, 2, 0, 0], [9, 3, 7, 7, 3, 14], [4, 4, 2, 0, 2, 8]])


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process forget what it has cast, as a new one has."""
    shapes3d._stored_maps.cache_clear()


@pytest.mark.usefixtures("forgetful")
def test_images_are_the_same_with_stored_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cast in one process, drawn with in another, where no ray may be cast."""
    store = ArtifactStore(tmp_path)
    images = shapes3d.render(CLASSES)
    use_stored_maps(store, 480)
    assert [entry.kind for entry in store.entries()] == [GeometryMaps.__name__]

    shapes3d._stored_maps.cache_clear()
    monkeypatch.setattr(shapes3d, "_fixed_point_maps", None)
    use_stored_maps(store, 480)
    assert shapes3d.maps_are_drawn()
    assert torch.equal(shapes3d.render(CLASSES), images)


@pytest.mark.usefixtures("forgetful")
def test_few_images_are_drawn_without(tmp_path: Path) -> None:
    use_stored_maps(ArtifactStore(tmp_path), 479)
    assert not shapes3d.maps_are_drawn()
    assert list(tmp_path.iterdir()) == []


def test_maps_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"maps have shape \(2, 3\), allowed is \(10080, 4096\)"):
        shapes3d.keep_maps(torch.zeros(2, 3, dtype=torch.int16))
