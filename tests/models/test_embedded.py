"""The package's own models: parts, start, trained weights and where these are from."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from seethrough.data.shapes3d_classes import Shapes3DClasses, split
from seethrough.models.embedded import (
    MODELS,
    build,
    images_of,
    load_embedded,
    provenance_of,
    weights_file,
)
from seethrough.models.pretrained import Classifier
from seethrough.models.train_embedded import N_HELDOUT

NAME = "shapes3d_vit"


@pytest.fixture(scope="module")
def trained() -> Classifier:
    return load_embedded(NAME)


@pytest.fixture(scope="module")
def images() -> Shapes3DClasses:
    found = images_of(NAME)
    assert isinstance(found, Shapes3DClasses)
    return found


def same(one: nn.Module, other: nn.Module) -> bool:
    states = zip(one.state_dict().items(), other.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in states)


def test_the_start_hangs_on_the_seed_alone() -> None:
    first = build(NAME, seed=3)
    torch.manual_seed(99)
    assert same(build(NAME, seed=3), first)
    assert not torch.equal(build(NAME).head.weight, build(NAME, seed=1).head.weight)
    assert not first.training


def test_torchs_own_generators_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the GPUs too, which nothing would put back."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a generator of a GPU was seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    before = torch.random.get_rng_state()
    build(NAME)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_architecture(trained: Classifier) -> None:
    """A block of width 128 has qkv 49,536, proj 16,512, fc1 66,048, fc2 65,664, two norms of 256
    and two LayerScales of 128: 198,528. Six of them, 64 positions of 128, a class token of 128, a
    patch embedding of 3 x 64 x 128 + 128 = 24,704, a norm of 256, a head of 320 x 129 = 41,280.
    """
    model: Any = trained.model
    by_hand = 6 * 198_528 + 64 * 128 + 128 + 24_704 + 256 + 41_280
    assert sum(p.numel() for p in model.parameters()) == by_hand == 1_265_728
    assert model.no_embed_class
    assert model.pos_embed.shape == (1, 64, 128)  # 8 x 8 patches, none for the class token
    assert model.cls_token.shape == (1, 1, 128)
    assert [block.attn.num_heads for block in model.blocks] == [4] * 6
    for block in build(NAME).blocks:
        assert torch.equal(block.ls1.gamma, torch.full((128,), 0.1))
        assert torch.equal(block.ls2.gamma, torch.full((128,), 0.1))


def test_the_committed_weights_are_loaded(trained: Classifier) -> None:
    stored = load_file(weights_file(NAME))
    state = trained.model.state_dict()
    assert list(state) == list(build(NAME).state_dict())
    assert stored.keys() == state.keys()
    assert all(torch.equal(stored[name], tensor) for name, tensor in state.items())
    assert not trained.model.training
    assert (trained.name, trained.n_classes) == (NAME, 320)
    assert not same(trained.model, build(NAME))


def test_a_loaded_model_belongs_to_the_caller(trained: Classifier) -> None:
    other = load_embedded(NAME).model
    with torch.no_grad():
        other.head.weight.zero_()
    assert trained.model.head.weight.any()


def test_its_preprocessing_is_that_of_its_images(
    trained: Classifier, images: Shapes3DClasses
) -> None:
    index = torch.tensor([0, 471_234])
    normalised = trained.preprocessing.normalise(images.shapes.images(index))
    torch.testing.assert_close(normalised, images.clean_images(index))
    assert images.image_shape == (3, trained.preprocessing.size, trained.preprocessing.size)
    assert len(images.class_names) == trained.n_classes == MODELS[NAME].n_classes


def test_provenance_is_in_the_header() -> None:
    found = provenance_of(NAME)
    assert found["command"] == f"python -m seethrough.models.train_embedded {NAME}"
    assert found["training"]["seed"] == 0
    assert 0.95 < found["top_1"] <= found["top_5"] <= 1
    assert re.fullmatch("[0-9a-f]{40}", found["git_commit"])
    assert found["git_dirty"] is False


def test_the_file_is_small() -> None:
    assert weights_file(NAME).stat().st_size <= 6_000_000


def test_held_out_images_are_classified(trained: Classifier, images: Shapes3DClasses) -> None:
    rows = split(N_HELDOUT)[1][:64]
    with torch.inference_mode():
        right = trained.model(images.images(rows)).argmax(1) == images.labels[rows]
    assert int(right.sum()) >= 61  # 95 % of 64


@pytest.mark.parametrize("function", [build, load_embedded, images_of, provenance_of, weights_file])
def test_unknown_names_are_refused(function: Callable[[str], object]) -> None:
    with pytest.raises(
        ValueError, match=r"model 'shapes_vit' is unknown \(did you mean shapes3d_vit\?\), allowed"
    ):
        function("shapes_vit")
