import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.data import kept_images as module
from seethrough.data.kept_images import KeptImages, kept_images
from seethrough.data.labelled_images import LabelledImages


class Counted(LabelledImages):
    """Ten images that say their number, and how often they were asked for."""

    def __init__(self) -> None:
        self.name, self.class_names, self.image_shape = "counted", ("a", "b"), (3, 2, 2)
        self.labels = torch.arange(10) % 2
        self.n_read = 0

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        self.n_read += len(index)
        return index.float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2).clone()


def test_images_are_read_once_and_found_by_their_own_index() -> None:
    source = Counted()
    kept = KeptImages(source, torch.tensor([7, 2, 5, 2]))
    assert source.n_read == 3
    for wanted in ([5, 2, 5], [7], []):
        found = kept.images(torch.tensor(wanted, dtype=torch.int64))
        assert found[:, 0, 0, 0].tolist() == wanted
    assert source.n_read == 3
    (images, labels), *_ = kept.batches(torch.tensor([2, 7]), 2)
    assert images[:, 0, 0, 0].tolist() == [2, 7]
    assert labels.tolist() == [0, 1]
    assert (kept.name, kept.class_names, len(kept)) == ("counted", ("a", "b"), 10)


@pytest.mark.parametrize("number", [0, 3, 9])
def test_an_image_that_is_not_kept_is_refused(number: int) -> None:
    kept = KeptImages(Counted(), torch.tensor([7, 2, 5]))
    with pytest.raises(ValueError, match=f"index {number} is not kept"):
        kept.images(torch.tensor([2, number]))


def test_an_index_outside_the_source_is_refused() -> None:
    with pytest.raises(ValueError, match="index 10 is not there, allowed is 0 to 9"):
        KeptImages(Counted(), torch.tensor([10]))


def test_what_needs_too_much_memory_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    # An image has 3 * 2 * 2 floats of 4 bytes.
    monkeypatch.setattr(module, "MOST_BYTES", 2 * 48)
    source = Counted()
    assert isinstance(kept_images(source, torch.tensor([1, 2])), KeptImages)
    assert kept_images(source, torch.tensor([1, 2, 3])) is source
