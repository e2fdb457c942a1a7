"""The configuration: step sizes by hand, passes over a pool, and what is refused."""

import pytest

from seethrough.sae.auxk import AuxK
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.sae_config import SAEConfig


def test_step_sizes_by_hand():
    config = SAEConfig(steps=10, learning_rate=0.8, warmup=0.2, decay=0.4)
    expected = [0.4, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.6, 0.4, 0.2]
    assert [config.rate(step) for step in range(10)] == pytest.approx(expected)


def test_step_sizes_without_ends_and_with_nothing_between():
    level = SAEConfig(steps=3, learning_rate=1.0, warmup=0.0, decay=0.0)
    assert [level.rate(step) for step in range(3)] == [1.0, 1.0, 1.0]
    both = SAEConfig(steps=4, learning_rate=1.0, warmup=1.0, decay=1.0)
    assert [both.rate(step) for step in range(4)] == [0.25, 0.5, 0.5, 0.25]


def test_a_pass_counts_what_is_left():
    config = SAEConfig(batch_size=4)
    assert [config.batches_per_epoch(n) for n in (1, 4, 5, 8)] == [1, 1, 2, 2]


def test_defaults_are_those_of_the_paper_and_its_sources():
    config = SAEConfig()
    assert config.expansion * 768 == 24_576
    assert config.auxk == AuxK()
    assert config.method == BatchTopK(k=32)
    assert config.dead_after == 5 * config.batch_size


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 0, "steps is 0, allowed is at least 1"),
        ("expansion", 0, "expansion is 0"),
        ("dead_after", 0, "dead_after is 0"),
        ("batch_size", 0, "batch_size is 0"),
        ("steps_per_record", 0, "steps_per_record is 0"),
        ("threads", 0, "threads is 0"),
        ("seed", -1, "seed is -1, allowed is at least 0"),
        ("learning_rate", 0.0, "learning_rate is 0.0"),
        ("warmup", 1.5, "warmup is 1.5, allowed is a share of the steps, 0 to 1"),
        ("decay", -0.5, "decay is -0.5"),
        ("device", "tpu", "device is 'tpu'"),
    ],
)
def test_refuses(field, value, message):
    with pytest.raises(ValueError, match=message):
        SAEConfig(**{field: value})
