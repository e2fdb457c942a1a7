"""The linear probe: by hand, from the definition, against scikit-learn, and at the limits."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from seethrough.metrics import TrainTest, halves, linear_probe


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None]


def sample(n: int, n_codes: int, sizes: tuple[int, ...], seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    factors = torch.stack([torch.randint(0, s, (n,), generator=generator) for s in sizes], dim=1)
    mixing = torch.randn(len(sizes), n_codes, generator=generator)
    noise = torch.randn(n, n_codes, generator=generator)
    return (factors / torch.tensor(sizes)) @ mixing + 0.3 * noise, factors


def accuracy_by_definition(data: TrainTest, ridge: float) -> list[float]:
    """Nearest class mean in the inverse of (covariance within classes + ridge), class by class."""
    x, x_test = data.codes_train.double().numpy(), data.codes_test.double().numpy()
    shift = ridge * np.mean(np.var(x, axis=0)) * np.eye(x.shape[1])
    accuracies = []
    for y, y_test in zip(data.factors_train.T.numpy(), data.factors_test.T.numpy(), strict=True):
        classes = np.unique(y)
        means = np.stack([x[y == c].mean(axis=0) for c in classes])
        within = sum((x[y == c] - m).T @ (x[y == c] - m) for c, m in zip(classes, means))  # noqa: B905
        metric = np.linalg.inv(within / len(x) + shift)
        distances = [np.einsum("ni,ij,nj->n", x_test - m, metric, x_test - m) for m in means]
        accuracies.append(float(np.mean(classes[np.argmin(distances, axis=0)] == y_test)))
    return accuracies


def test_by_hand():
    # One code: class 0 has the mean 0, class 2 the mean 4, so the line between them is at 2
    # whatever the covariance. Tests 1, 1.9, 2.1, 9 are named 0, 0, 2, 2: three of four are right.
    # Class 0 is the commonest in training, with one of four test images.
    data = TrainTest(
        codes_train=column(-1, 0, 1, 3, 5),
        factors_train=torch.tensor([[0], [0], [0], [2], [2]]),
        codes_test=column(1, 1.9, 2.1, 9),
        factors_test=torch.tensor([[0], [2], [2], [2]]),
    )
    probe = linear_probe(data)
    assert probe.accuracy.tolist() == [0.75]
    assert probe.chance.tolist() == [0.25]


@pytest.mark.parametrize("n_codes", [1, 30, 100, 101, 200])
@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_equals_the_definition_on_either_side_of_the_sample_count(n_codes, ridge):
    data = halves(*sample(200, n_codes, (2, 3, 7)), seed=1)
    assert linear_probe(data, ridge).accuracy.tolist() == accuracy_by_definition(data, ridge)


def test_equals_scikit_learn_without_a_ridge():
    codes, factors = sample(1200, 8, (3, 6, 10))
    factors[:600] = torch.arange(600)[:, None] % torch.tensor([3, 6, 10])  # equal class counts
    codes[:600] += factors[:600].float() @ torch.randn(
        3, 8, generator=torch.Generator().manual_seed(1)
    )
    data = TrainTest(
        codes_train=codes[:600],
        factors_train=factors[:600],
        codes_test=codes[600:],
        factors_test=factors[600:],
    )
    expected = []
    for y, y_test in zip(data.factors_train.T, data.factors_test.T, strict=True):
        model = LinearDiscriminantAnalysis(solver="lsqr")
        model.fit(data.codes_train.double().numpy(), y.numpy())
        expected.append(model.score(data.codes_test.double().numpy(), y_test.numpy()))
    assert linear_probe(data, ridge=1e-8).accuracy.tolist() == expected


def test_perfect_and_duplicated_codes_name_everything():
    _, factors = sample(2000, 1, (4, 10, 15))
    for copies in (1, 3):
        data = halves(factors.float().repeat(1, copies), factors, 0)
        assert linear_probe(data).accuracy.tolist() == [1.0, 1.0, 1.0]


def test_an_ordered_factor_along_one_code_is_beyond_least_squares():
    """The reason for this classifier: regression on class indicators loses the middle classes."""
    factors = torch.arange(1000)[:, None] % 10
    data = halves(factors.double(), factors, 0)
    x = torch.cat([data.codes_train, torch.ones(500, 1)], dim=1)
    indicators = torch.nn.functional.one_hot(data.factors_train[:, 0]).double()
    weights = torch.linalg.lstsq(x, indicators).solution
    named = (torch.cat([data.codes_test, torch.ones(500, 1)], dim=1) @ weights).argmax(dim=1)
    assert float((named == data.factors_test[:, 0]).double().mean()) < 0.4
    assert float(linear_probe(data).accuracy[0]) == 1.0


def test_useless_codes_are_near_chance():
    codes, factors = sample(2000, 40, (4, 5))
    noise = torch.randn(codes.shape, generator=torch.Generator().manual_seed(9))
    # 1,000 test images: standard deviation sqrt(0.25 x 0.75 / 1000) = 0.014.
    accuracy = linear_probe(halves(noise, factors, 0)).accuracy
    assert accuracy.tolist() == pytest.approx([1 / 4, 1 / 5], abs=0.06)


def test_dead_codes_name_one_class_and_change_nothing_beside_live_ones():
    codes, factors = sample(600, 6, (4, 5))
    dead = linear_probe(halves(torch.full_like(codes, 0.1), factors, 0)).accuracy
    shares = [
        (halves(codes, factors, 0).factors_test[:, f, None] == torch.arange(5)).double().mean(dim=0)
        for f in range(2)
    ]
    assert all(float(a) in share.tolist() for a, share in zip(dead, shares, strict=True))
    alone = halves(codes, factors, 0)
    beside = halves(torch.cat([codes, torch.zeros(600, 6)], dim=1), factors, 0)
    # Half of the codes dead halves their mean variance.
    torch.testing.assert_close(
        linear_probe(beside, 0.02).accuracy, linear_probe(alone, 0.01).accuracy
    )


def test_scale_offset_and_rotation_change_nothing():
    codes, factors = sample(600, 6, (4, 5))
    codes = codes.double()
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).double()).Q
    expected = linear_probe(halves(codes, factors, 0)).accuracy
    changed = linear_probe(halves(1e-3 * codes @ turn + 5, factors, 0)).accuracy
    assert torch.equal(changed, expected)


def test_classes_unseen_in_training_are_never_named():
    data = TrainTest(
        codes_train=column(0, 0, 4, 4),
        factors_train=torch.tensor([[1], [1], [7], [7]]),
        codes_test=column(0, 2.5, 4),
        factors_test=torch.tensor([[1], [3], [7]]),
    )
    assert linear_probe(data).accuracy.tolist() == pytest.approx([2 / 3])


def test_a_vanishing_ridge_is_refused():
    with pytest.raises(ValueError, match=r"ridge is 0\.0, allowed is at least 1e-8"):
        linear_probe(halves(*sample(10, 2, (2,)), seed=0), ridge=0.0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("n_codes", [40, 900])
def test_gpu_equals_cpu(n_codes):
    codes, factors = sample(1000, n_codes, (3, 6, 10))
    on_gpu = linear_probe(halves(codes.cuda(), factors.cuda(), 0)).accuracy.cpu()
    on_cpu = linear_probe(halves(codes, factors, 0)).accuracy
    torch.testing.assert_close(on_gpu, on_cpu, rtol=0, atol=0.005)
