"""Mid-ranks equal SciPy's, ties included."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from seethrough.neurons.mid_ranks import doubled_ranks_in_order, mid_ranks


def test_by_hand():
    # 1 is first, the two 2s share (2 + 3) / 2, 3 is fourth.
    values = torch.tensor([[2.0, 3.0, 1.0, 2.0], [5.0, 5.0, 5.0, 5.0]])
    assert mid_ranks(values).tolist() == [[2.5, 4.0, 1.0, 2.5], [2.5] * 4]
    doubled, order = doubled_ranks_in_order(values[:1])
    assert doubled.tolist() == [[2, 5, 5, 8]]
    assert order[0, 0] == 2
    assert order[0, 3] == 1


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    n_rows=st.integers(0, 4),
    n=st.integers(1, 40),
    values=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_equals_scipy(n_rows, n, values, seed):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(-values, values, (n_rows, n), generator=generator).float() / 3
    expected = torch.from_numpy(rankdata(numbers.numpy(), axis=1)).reshape(n_rows, n)
    assert torch.equal(mid_ranks(numbers), expected)


def test_minus_zero_equals_zero_and_no_values():
    assert mid_ranks(torch.tensor([[0.0, -0.0, -1.0]])).tolist() == [[2.5, 2.5, 1.0]]
    assert mid_ranks(torch.zeros(2, 0)).shape == (2, 0)
