"""SAP: by hand, against scikit-learn machine by machine, and at the limits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import LinearSVC

from seethrough.metrics import TrainTest, halves, sap, sap_accuracies, sap_score


def sample(n: int, n_codes: int, sizes: tuple[int, ...], seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    factors = torch.stack([torch.randint(0, s, (n,), generator=generator) for s in sizes], dim=1)
    mixing = torch.randn(len(sizes), n_codes, generator=generator)
    noise = torch.randn(n, n_codes, generator=generator)
    return (factors / torch.tensor(sizes)) @ mixing + 0.3 * noise, factors


def accuracies_by_scikit_learn(data: TrainTest) -> np.ndarray:
    result = np.zeros((data.codes_train.shape[1], data.factors_train.shape[1]))
    for i in range(len(result)):
        x, x_test = (c[:, [i]].double().numpy() for c in (data.codes_train, data.codes_test))
        for j in range(result.shape[1]):
            machine = LinearSVC(
                C=0.01, class_weight="balanced", dual=False, tol=1e-12, max_iter=100_000
            )
            machine.fit(x, data.factors_train[:, j].numpy())
            result[i, j] = machine.score(x_test, data.factors_test[:, j].numpy())
    return result


def test_by_hand():
    # Factor a has two classes. Code 0 is -1 and 1 on them, two images each, so all weights are 1
    # and b = 0 by symmetry; the loss w^2 / 2 + 4 C (1 - w)^2 is least at w = 8 C / (1 + 8 C) > 0:
    # the sign is named. Code 1 is constant: one class is named, for balanced classes the lower.
    # Of the tests with a = 0 0 0 1, code 0 names 0 0 1 1 (3/4) and code 1 names 0 (3/4); of those
    # with b = 1 1 0 0 code 1 names 0 (2/4), and code 0, which is the same for both b, 0 as well.
    data = TrainTest(
        codes_train=torch.tensor([[-1.0, 5.0], [-1, 5], [1, 5], [1, 5]]),
        factors_train=torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]]),
        codes_test=torch.tensor([[-2.0, 5.0], [-0.1, 5], [0.1, 5], [3, 5]]),
        factors_test=torch.tensor([[0, 1], [0, 1], [0, 0], [1, 0]]),
    )
    assert sap_accuracies(data).tolist() == [[0.75, 0.5], [0.75, 0.5]]
    assert float(sap_score(data)) == 0.0


@pytest.mark.parametrize("seed", range(3))
def test_equals_scikit_learn(seed):
    codes, factors = sample(240, 10, (2, 3, 6, 10), seed)
    codes[:, 1] = codes[:, 1].relu()
    codes[:, 2] = (codes[:, 2] - 0.7).relu()  # sparse
    codes[:, 3] += 20
    codes[:, 4] *= 30
    codes[:, 5] *= -0.01
    codes[:, 6] = factors[:, 3]
    data = halves(codes, factors, seed)
    assert np.array_equal(sap_accuracies(data).numpy(), accuracies_by_scikit_learn(data))


@settings(deadline=None, derandomize=True, max_examples=15)
@given(
    n=st.integers(10, 80),
    sizes=st.lists(st.integers(2, 5), min_size=1, max_size=3).map(tuple),
    scale=st.sampled_from([0.1, 1.0, 100.0]),
    offset=st.sampled_from([-3.0, 0.0, 10.0]),
    seed=st.integers(0, 999),
)
def test_machines_have_no_slope_of_loss(n, sizes, scale, offset, seed):
    """The gradient of the definition is 0 there, class by class, on the codes as given."""
    codes, factors = sample(n, 3, sizes, seed)
    codes = codes.double() * scale + offset
    factors[:5] = torch.arange(5)[:, None] % torch.tensor(sizes)
    centre = codes.mean(dim=0)
    centred = (codes - centre).T.contiguous()
    everything = sap._SortedValues.of(centred)
    for labels in factors.T:
        classes = labels.unique().tolist()
        positives = classes if len(classes) > 2 else classes[1:]
        machines = sap._machines(centred, everything, centre, labels)
        for positive, machine in zip(positives, machines, strict=True):
            w, b = machine.solve()
            b = b - w * centre
            y = torch.where(labels == positive, 1.0, -1.0).double()[:, None]
            balanced = {c: n / (len(classes) * int((labels == c).sum())) for c in classes}
            weight = torch.tensor([balanced[int(c)] for c in labels], dtype=torch.float64)
            if len(classes) > 2:  # the rest counts 1 each
                weight = torch.where(labels == positive, weight, 1.0)
            slack = 0.02 * weight[:, None] * y * (1 - y * (w * codes + b)).clamp_min(0)
            for gradient, size in (
                (w - (slack * codes).sum(dim=0), (slack * codes).abs().sum(dim=0)),
                (b - slack.sum(dim=0), slack.abs().sum(dim=0)),
            ):
                assert bool((gradient.abs() <= 1e-10 * (1 + size)).all())


def test_block_sizes_do_not_matter(monkeypatch):
    data = halves(*sample(200, 7, (3, 5)), seed=0)
    whole = sap_accuracies(data)
    monkeypatch.setattr(sap, "BLOCK_VALUES", 250)
    monkeypatch.setattr(sap, "BLOCK_SCORES_CPU", 1)
    assert torch.equal(sap_accuracies(data), whole)


def all_combinations() -> TrainTest:
    """Two factors of two classes, all combinations equally often, the same images twice."""
    factors = torch.cartesian_prod(torch.arange(2), torch.arange(2)).repeat(25, 1)
    codes = factors.float()
    return TrainTest(
        codes_train=codes, factors_train=factors, codes_test=codes, factors_test=factors
    )


def with_codes(data: TrainTest, codes: torch.Tensor) -> TrainTest:
    return TrainTest(
        codes_train=codes,
        factors_train=data.factors_train,
        codes_test=codes,
        factors_test=data.factors_test,
    )


def test_perfect_useless_and_duplicated_codes():
    data = all_combinations()
    # One code names a factor always, the other code knows nothing of it and is right half the time.
    assert float(sap_score(data)) == 0.5
    assert float(sap_score(with_codes(data, torch.ones(100, 3)))) == 0.0
    assert float(sap_score(with_codes(data, data.codes_train.repeat(1, 2)))) == 0.0


def test_dead_codes_name_the_commonest_class():
    _, factors = sample(301, 1, (4, 3), seed=2)
    data = halves(torch.zeros(301, 2) + torch.tensor([0.0, 0.1]), factors, 0)
    for j in range(2):
        commonest = data.factors_train[:, j].bincount().argmax()
        share = (data.factors_test[:, j] == commonest).double().mean()
        assert sap_accuracies(data)[:, j].tolist() == [float(share)] * 2


def test_dead_codes_beside_the_best_two_change_nothing():
    codes, factors = sample(400, 5, (3, 4))
    alone = sap_score(halves(codes, factors, 0))
    dead = torch.zeros(400, 20)
    assert sap_score(halves(torch.cat([codes, dead], dim=1), factors, 0)) == alone


def test_classes_that_only_one_half_has_are_never_right():
    data = all_combinations()
    changed = TrainTest(
        codes_train=data.codes_train,
        factors_train=data.factors_train,
        codes_test=data.codes_test,
        factors_test=data.factors_test + 2,
    )
    assert sap_accuracies(changed).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_what_cannot_be_scored_is_refused():
    data = all_combinations()
    with pytest.raises(ValueError, match="at least 2 codes, got 1"):
        sap_score(with_codes(data, torch.ones(100, 1)))
    constant = TrainTest(
        codes_train=data.codes_train,
        factors_train=data.factors_train * torch.tensor([1, 0]),
        codes_test=data.codes_test,
        factors_test=data.factors_test,
    )
    with pytest.raises(ValueError, match="got a constant one"):
        sap_score(constant)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu():
    codes, factors = sample(1000, 50, (3, 6, 10))
    on_gpu = sap_accuracies(halves(codes.cuda(), factors.cuda(), 0)).cpu()
    on_cpu = sap_accuracies(halves(codes, factors, 0))
    torch.testing.assert_close(on_gpu, on_cpu, rtol=0, atol=0.005)
