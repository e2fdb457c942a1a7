from dataclasses import fields

import pytest

from seethrough.autoencoders.batch_top_k import BatchTopK
from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.jump_relu import JumpReLU
from seethrough.autoencoders.top_k import TopK
from seethrough.canonical import canonical_json
from seethrough.studies.remedies import BASELINE, REMEDIES, SMALL, TRIED

PLAIN = SAEConfig(width=60, epochs=7, learning_rate=2e-3, batch_size=16, seed=3, scored=False)
CHANGED = {"sparsifier", "start", "preparation", "encoder", "revival"}


@pytest.mark.parametrize("name", REMEDIES)
def test_a_remedy_keeps_everything_else(name: str) -> None:
    config = REMEDIES[name].applied(PLAIN, 40, 5)
    for field in fields(SAEConfig):
        if field.name not in CHANGED:
            assert getattr(config, field.name) == getattr(PLAIN, field.name)
    assert isinstance(config.sparsifier, TopK | BatchTopK | JumpReLU)
    assert [config.level(epoch) for epoch in (1, 7)] == [40, 5]


def test_the_baseline_and_the_small_dictionary_are_the_plain_layer() -> None:
    plain = SAEConfig(width=60, epochs=7, sparsifier=TopK(start=40, end=5))
    for name in (BASELINE, SMALL):
        assert REMEDIES[name].applied(SAEConfig(width=60, epochs=7), 40, 5) == plain


def test_every_remedy_is_another_layer() -> None:
    written = {canonical_json(REMEDIES[name].applied(PLAIN, 40, 5)) for name in TRIED}
    assert len(written) == len(TRIED)
    assert canonical_json(REMEDIES[BASELINE].applied(PLAIN, 40, 5)) not in written


def test_labels_differ() -> None:
    assert len({remedy.label for remedy in REMEDIES.values()}) == len(REMEDIES)
