import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seethrough.autoencoders.batch_top_k import BatchTopK, BatchTopKModule, batch_top_k
from seethrough.autoencoders.top_k import TopK
from seethrough.training.initialise import generator_for


def test_worked_by_hand() -> None:
    # 2 inputs, k = 2: the 4 largest of 3, 2, 1, 0.5, 0.4, 0.3 stay; three are of the first input
    code = torch.tensor([[3.0, 2.0, 1.0], [0.5, 0.4, 0.3]])
    expected = torch.tensor([[3.0, 2.0, 1.0], [0.5, 0.0, 0.0]])
    assert torch.equal(batch_top_k(code, 2), expected)


@given(st.integers(1, 6), st.integers(0, 2**31))
def test_it_is_the_slow_selection(k: int, seed: int) -> None:
    code = torch.randn(5, 7, generator=generator_for(seed)).relu()
    threshold = sorted(code.flatten().tolist(), reverse=True)[5 * k - 1]
    assert torch.equal(batch_top_k(code, k), torch.where(code >= threshold, code, 0.0))


def test_one_input_is_top_k() -> None:
    code = torch.rand(1, 9, generator=generator_for(1))
    assert torch.equal(batch_top_k(code, 4), TopK().module(9)(code, 4.0))


def test_no_choice_changes_nothing() -> None:
    code = torch.rand(4, 3, generator=generator_for(0))
    assert batch_top_k(code, 3) is code
    assert batch_top_k(code, 99) is code


def test_ties_keep_exactly_k_per_input_on_average() -> None:
    assert int((batch_top_k(torch.ones(3, 10), 4) > 0).sum()) == 12


def test_none_is_refused() -> None:
    with pytest.raises(ValueError, match="k is 0, allowed is a count of at least 1"):
        batch_top_k(torch.ones(1, 3), 0)


def test_gradient_reaches_kept_entries_only() -> None:
    code = torch.tensor([[3.0, 1.0], [2.0, 0.5]], requires_grad=True)
    batch_top_k(code, 1).sum().backward()
    assert code.grad is not None
    assert code.grad.tolist() == [[1, 0], [1, 0]]


def test_the_threshold_is_the_mean_of_the_smallest_kept_entries() -> None:
    module = BatchTopKModule()
    module(torch.tensor([[3.0, 1.0], [2.0, 0.5]]), 1.0)  # keeps 3 and 2
    assert float(module.threshold) == 2.0
    module(torch.tensor([[9.0, 4.0], [1.0, 0.5]]), 1.0)  # keeps 9 and 4: (2 + 4) / 2
    assert float(module.threshold) == 3.0
    module(torch.tensor([[9.0, 8.0], [1.0, 0.0]]), 1.0)  # (2 + 4 + 8) / 3
    assert float(module.threshold) == pytest.approx(14 / 3)


def test_a_new_k_forgets_the_batches_before() -> None:
    module = BatchTopKModule()
    module(torch.tensor([[3.0, 1.0, 0.5]]), 1.0)
    module(torch.tensor([[3.0, 1.0, 0.5]]), 2.0)
    assert float(module.threshold) == 1.0
    assert int(module.n_batches) == 1


def test_zeros_do_not_lower_the_threshold() -> None:
    module = BatchTopKModule()
    module(torch.tensor([[2.0, 0.0, 0.0, 0.0]]), 3.0)
    assert float(module.threshold) == 2.0
    module(torch.zeros(1, 4), 4.0)  # a silent batch keeps everything
    assert float(module.threshold) == 0.0


def test_measured_codes_exceed_the_threshold_whatever_their_batch() -> None:
    module = BatchTopKModule()
    module(torch.tensor([[3.0, 1.0], [2.0, 0.5]]), 1.0)
    module.eval()
    codes = torch.tensor([[2.5, 2.0], [0.1, 7.0]])
    assert module(codes, 1.0).tolist() == [[2.5, 0.0], [0.0, 7.0]]
    assert torch.equal(module(codes[1:], 1.0), module(codes, 1.0)[1:])
    assert float(module.threshold) == 2.0
    assert int(module.n_batches) == 1


def test_the_threshold_keeps_the_count_on_like_inputs() -> None:
    module, generator = BatchTopKModule(), generator_for(4)
    for _ in range(30):
        module(torch.randn(64, 50, generator=generator).relu(), 5.0)
    module.eval()
    fresh = module(torch.randn(2000, 50, generator=generator).relu(), 5.0)
    assert float((fresh > 0).sum(1).double().mean()) == pytest.approx(5, rel=0.1)


def test_the_schedule_is_that_of_top_k() -> None:
    one, other = BatchTopK(start=500, end=50), TopK(start=500, end=50)
    assert [one.level(e, 7) for e in range(1, 9)] == [other.level(e, 7) for e in range(1, 9)]
    assert one.least_width() == 50
    assert float(one.penalty(torch.ones(2, 3), torch.ones(3, 4), 5.0)) == 0
    with pytest.raises(ValueError, match="k starts at 3, allowed is at least its end, 4"):
        BatchTopK(start=3, end=4)
