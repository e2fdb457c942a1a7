"""Streaming statistics: against everything stored, in any batches, merged, and in long sums."""

import pytest
import torch

from seethrough.neurons.activation_statistics import (
    ColumnStatistics,
    SiteStatistics,
    StatisticsTable,
    activation_statistics,
    merged,
    observe_batches,
)
from seethrough.neurons.sites import AttentionHeads, MlpUnits, Site, recorded, sites_of
from seethrough.neurons.token_readings import token_readings

LABELS = [0, 2, 2, 1, 0, 4, 2, 2, 1, 0]  # no image of class 3


def assert_close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal to the rounding of float32 activations."""
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def fields(statistics: SiteStatistics) -> dict[str, torch.Tensor]:
    parts = {"counts": statistics.class_counts, "vectors": statistics.vector_total}
    for reading in ("class_token", "patch_maximum", "token_mean"):
        for name in ColumnStatistics.__dataclass_fields__:
            parts[f"{reading}.{name}"] = getattr(getattr(statistics, reading), name)
    return parts


def statistics_of(
    site: Site, batches: list[tuple[torch.Tensor, torch.Tensor]], model: torch.nn.Module
) -> SiteStatistics:
    """Count in activations without a forward pass."""
    table = StatisticsTable.none(model, [site], 3)
    for vectors, labels in batches:
        table.observe({site: token_readings(site, vectors)}, labels)
    return table.by_site()[site]


def test_by_hand(tiny_vit):
    # Two units; image 0 has the class token (1, -1) and patches (0, -3), (2, -2); image 1 twice
    # the same. So class tokens 1 2, -1 -2; patch maxima 2 4, -2 -4; means 1 2, -2 -4.
    image = torch.tensor([[1.0, -1.0], [0.0, -3.0], [2.0, -2.0]])[None, ..., None]
    batches = [(image, torch.tensor([0])), (2 * image, torch.tensor([2]))]
    model = tiny_vit(mlp_ratio=2 / 32)
    statistics = statistics_of(MlpUnits(block=0), batches, model)
    assert statistics.class_counts.tolist() == [1, 0, 1]
    assert statistics.mean.tolist() == [[1.5], [-3.0]]
    token, patch = statistics.class_token, statistics.patch_maximum
    assert token.class_totals.tolist() == [[1.0, -1.0], [0.0, 0.0], [2.0, -2.0]]
    assert token.total.tolist() == [3.0, -3.0]
    assert token.total_squares.tolist() == [5.0, 5.0]
    assert token.maximum.tolist() == [2.0, -1.0]
    assert token.n_positive.tolist() == [2, 0]
    assert patch.total.tolist() == [6.0, -6.0]
    assert patch.maximum.tolist() == [4.0, -2.0]
    assert statistics.token_mean.total.tolist() == [3.0, -6.0]
    assert statistics.token_mean.total_squares.tolist() == [5.0, 20.0]


@torch.no_grad()
def test_equals_storing_everything(tiny_vit, labelled_batches):
    model, batches = tiny_vit(), labelled_batches(LABELS, batch_size=3)
    sites = sites_of(model, [0, 2])
    streamed = activation_statistics(model, batches, sites, 5)
    labels = torch.tensor(LABELS)
    with recorded(model, sites) as at:
        model(torch.cat([images for images, _ in batches]))
    for site in sites:
        values, statistics = site.activation(at[site]).double(), streamed[site]
        assert statistics.class_counts.tolist() == [3, 2, 4, 0, 1]
        assert int(statistics.n_images) == 10
        assert_close(statistics.mean, at[site].double().mean(dim=(0, 1)))
        stored = {
            "class_token": values[:, 0],
            "patch_maximum": values[:, 1:].amax(dim=1),
            "token_mean": values.mean(dim=1),
        }
        for name, reading in stored.items():
            found = getattr(statistics, name)
            for label in range(5):
                expected = reading[labels == label].sum(dim=0)
                assert_close(found.class_totals[label], expected)
            assert_close(found.total, reading.sum(dim=0))
            assert_close(found.total_squares, reading.square().sum(dim=0))
            assert_close(found.maximum, reading.amax(dim=0))
            assert torch.equal(found.n_positive, (reading > 0).sum(dim=0))


def test_batches_and_merging_make_no_difference(tiny_vit, labelled_batches):
    model, sites = tiny_vit(), sites_of(tiny_vit(), [1])
    whole = activation_statistics(model, labelled_batches(LABELS, batch_size=10), sites, 5)
    ones = labelled_batches(LABELS, batch_size=1)
    first = activation_statistics(model, ones[:7], sites, 5)
    second = activation_statistics(model, ones[7:], sites, 5)
    for site in sites:
        joined = fields(merged(first[site], second[site]))
        for name, expected in fields(whole[site]).items():
            assert_close(joined[name], expected)


def test_permuting_classes_permutes_their_rows(tiny_vit, labelled_batches):
    model, sites = tiny_vit(), (MlpUnits(block=1),)
    order = torch.tensor([3, 0, 4, 1, 2])
    batches = labelled_batches(LABELS)
    plain = activation_statistics(model, batches, sites, 5)[sites[0]]
    renamed = [(images, order[labels]) for images, labels in batches]
    permuted = activation_statistics(model, renamed, sites, 5)[sites[0]]
    assert torch.equal(permuted.class_counts[order], plain.class_counts)
    assert torch.equal(permuted.class_token.class_totals[order], plain.class_token.class_totals)
    assert torch.equal(permuted.class_token.total_squares, plain.class_token.total_squares)


def test_heads_by_hand(tiny_vit):
    # One head of width 2 with the vectors (3, 4), (0, 0), (-6, 8): norms 5, 0, 10, mean 5, and the
    # mean vector (-1, 4). Image 1 has 3 times the same: its sums are 3 times, their squares 9.
    image = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-6.0, 8.0]])[None, :, None]
    batches = [(torch.cat([image, 3 * image]), torch.tensor([1, 1]))]
    model = tiny_vit(embed_dim=2, num_heads=1)
    statistics = statistics_of(AttentionHeads(block=0), batches, model)
    assert statistics.vector_total.tolist() == [[-4.0, 16.0]]
    assert statistics.mean.tolist() == [[-2.0, 8.0]]
    assert statistics.class_token.class_totals.tolist() == [[0.0], [20.0], [0.0]]
    assert statistics.patch_maximum.maximum.tolist() == [30.0]
    assert statistics.token_mean.total_squares.tolist() == [250.0]
    assert statistics.token_mean.n_positive.tolist() == [2]


def test_long_sums_keep_their_digits():
    # 1 + 2^-20 is exact in float32. 2,000 batches of 64 sum to 128000 + 0.1220703125; a running sum
    # in float32 has steps of 2^-7 there and would be wrong in the second decimal.
    statistics = ColumnStatistics.none(1, 1, torch.device("cpu"))
    values, labels = torch.full((64, 1), 1 + 2**-20), torch.zeros(64, dtype=torch.int64)
    running = torch.zeros(1)
    for _ in range(2000):
        statistics.observe(values, labels)
        running += values.sum(dim=0)
    assert statistics.total.item() == 128000 * (1 + 2**-20)
    assert abs(running.item() - 128000 * (1 + 2**-20)) > 1e-3


def test_no_image_and_one_image(tiny_vit, labelled_batches):
    model, site = tiny_vit(), MlpUnits(block=0)
    nothing = activation_statistics(model, [], (site,), 2)[site]
    assert int(nothing.n_images) == 0
    assert torch.isnan(nothing.mean).all()
    assert torch.all(nothing.patch_maximum.maximum == -torch.inf)
    one = activation_statistics(model, labelled_batches([1]), (site,), 2)[site]
    assert torch.equal(one.class_token.total, one.class_token.maximum)
    for name, tensor in fields(merged(nothing, one)).items():
        assert torch.equal(tensor, fields(one)[name])


def test_dead_unit(tiny_vit, labelled_batches):
    model, site = tiny_vit(), MlpUnits(block=0)
    with torch.no_grad():
        model.blocks[0].mlp.fc1.weight[7] = 0.0
        model.blocks[0].mlp.fc1.bias[7] = 0.0
    statistics = activation_statistics(model, labelled_batches(LABELS), (site,), 5)[site]
    assert statistics.patch_maximum.n_positive[7] == 0
    assert statistics.patch_maximum.maximum[7] == 0.0
    assert statistics.mean[7] == 0.0


def test_the_model_is_left_as_it_was_also_after_an_exception(tiny_vit, labelled_batches):
    model, site = tiny_vit(), MlpUnits(block=0)
    images, labels = labelled_batches([0, 1])[0]
    model.train()
    activation_statistics(model, [(images, labels)], (site,), 5)
    assert model.training
    with pytest.raises(IndexError):
        activation_statistics(model, [(images, labels + 9)], (site,), 5)
    assert model.training
    assert not model.blocks[0].mlp.act._forward_hooks


def test_what_does_not_fit_is_refused(tiny_vit):
    model, site = tiny_vit(), MlpUnits(block=0)
    with pytest.raises(ValueError, match="n_classes is 0"):
        activation_statistics(model, [], (site,), 0)
    with pytest.raises(ValueError, match="block is 4"):
        activation_statistics(model, [], (MlpUnits(block=4),), 2)
    two, four = (activation_statistics(model, [], (site,), n)[site] for n in (2, 4))
    with pytest.raises(ValueError, match="must agree"):
        merged(two, four)


def test_no_site_counts_images_only(tiny_vit, labelled_batches):
    table = StatisticsTable.none(tiny_vit(), [], 5)
    observe_batches(tiny_vit(), labelled_batches(LABELS), table)
    assert table.class_counts.tolist() == [3, 2, 4, 0, 1]
    assert table.by_site() == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_moves_to_the_host(tiny_vit, labelled_batches):
    model, sites = tiny_vit().cuda(), (MlpUnits(block=0), *sites_of(tiny_vit(), [2]))
    batches = [(images.cuda(), labels.cuda()) for images, labels in labelled_batches(LABELS)]
    activation_statistics(model, batches, sites, 5)  # libraries load
    torch.cuda.set_sync_debug_mode("error")
    try:
        statistics = activation_statistics(model, batches, sites, 5)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    on_cpu = activation_statistics(model.cpu(), labelled_batches(LABELS), sites, 5)
    for site in sites:
        for name, expected in fields(on_cpu[site]).items():
            found = fields(statistics[site])[name].cpu()
            torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
