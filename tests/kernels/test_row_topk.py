"""The largest positive entries of every row, against a sort in plain Python, on every path."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seethrough.kernels import row_topk as module
from seethrough.kernels import row_topk_cpu
from seethrough.kernels.batch_topk import batch_topk
from seethrough.kernels.float_keys import KEY_TYPES, infinity_key, minus_infinity_key
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.row_topk import row_topk
from seethrough.kernels.topk_reference import row_topk_reference

Select = Callable[[Tensor, int], RaggedCode]
DTYPES = [torch.float32, torch.bfloat16, torch.float64]
PATHS = ["cpu", "reference", "triton interpreted", pytest.param("triton", marks=pytest.mark.gpu)]


@pytest.fixture(params=PATHS)
def select(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Select:
    """Return the selection on one path; the interpreter runs Triton's kernels on CPU tensors."""
    if request.param == "cpu":
        return row_topk
    if request.param == "reference":
        monkeypatch.setattr(row_topk_cpu, "select", row_topk_reference)
        return row_topk
    pytest.importorskip("triton")
    if request.param == "triton":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        return lambda numbers, k: on_cpu(row_topk(numbers.cuda(), k))
    if torch.cuda.is_available():
        pytest.skip("with a card the kernels are not interpreted")
    monkeypatch.setattr(module, "takes_triton", lambda device: True)
    return row_topk


def on_cpu(code: RaggedCode) -> RaggedCode:
    return RaggedCode(code.row_starts.cpu(), code.latents.cpu(), code.values.cpu(), code.width)


def by_definition(numbers: Tensor, k: int) -> RaggedCode:
    """Sort the positive entries of each row by size, of equal ones the first first, and keep k."""
    starts, latents, values = [0], [], []
    for row in numbers.tolist():
        entries = sorted((-x, m) for m, x in enumerate(row) if x > 0)[:k]
        latents += sorted(m for _, m in entries)
        starts.append(len(latents))
        values += [row[m] for m in latents[starts[-2] :]]
    return RaggedCode(
        torch.tensor(starts),
        torch.tensor(latents, dtype=torch.int64),
        torch.tensor(values, dtype=torch.float64).to(numbers.dtype),
        numbers.shape[1],
    )


def assert_equal(found: RaggedCode, wanted: RaggedCode) -> None:
    assert found.width == wanted.width
    assert found.row_starts.tolist() == wanted.row_starts.tolist()
    assert found.latents.tolist() == wanted.latents.tolist()
    assert found.values.dtype == wanted.values.dtype
    assert found.values.tolist() == wanted.values.tolist()


def normal(rows: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator, dtype=torch.float64)


def mixed() -> Tensor:
    """Rows of 37: usual, tied, all equal, all negative, two positive, subnormal, infinite."""
    numbers = normal(7, 37)
    numbers[1] = (2 * numbers[1]).round()
    numbers[2] = 1
    numbers[3] = -numbers[3].abs() - 0.1
    numbers[4] = torch.where(torch.arange(37) % 20 == 3, 1.0, 0.0)
    numbers[5] = (torch.arange(37) - 20) * 2.0**-133
    numbers[6, ::3] = torch.inf
    numbers[6, 1::3] = -torch.inf
    numbers[6, 2::6] = -0.0
    return numbers


def test_by_hand(select: Select) -> None:
    # Row 0 keeps 5 and the first of its two 2s, row 1 its only positive entry, row 2 nothing.
    numbers = torch.tensor([[2.0, 5.0, -7.0, 2.0], [0.0, 0.0, 3.0, -1.0], [-1.0, 0.0, -2.0, -0.0]])
    code = select(numbers, 2)
    assert code.row_starts.tolist() == [0, 2, 3, 3]
    assert code.latents.tolist() == [0, 1, 2]
    assert code.values.tolist() == [2.0, 5.0, 3.0]
    assert code.width == 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_equals_the_definition(select: Select, dtype: torch.dtype) -> None:
    numbers = mixed().to(dtype)
    assert_equal(select(numbers, 4), by_definition(numbers, 4))


@pytest.mark.parametrize("k", [1, 36, 37, 1000])
def test_k_up_to_the_width_and_beyond(select: Select, k: int) -> None:
    numbers = mixed()[:2].float()
    assert_equal(select(numbers, k), by_definition(numbers, k))


def test_columns_need_not_be_adjacent(select: Select) -> None:
    numbers = normal(19, 3).float().T
    assert not numbers.is_contiguous()
    assert_equal(select(numbers, 3), by_definition(numbers, 3))


@pytest.mark.parametrize("shape", [(0, 5), (4, 0), (0, 0)])
def test_an_empty_batch_has_an_empty_code(select: Select, shape: tuple[int, int]) -> None:
    code = select(torch.zeros(shape, dtype=torch.bfloat16), 2)
    assert code.row_starts.tolist() == [0] * (shape[0] + 1)
    assert len(code.latents) == len(code.values) == 0
    assert code.values.dtype == torch.bfloat16
    assert code.width == shape[1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("negative", [False, True])
def test_nan_is_refused_with_either_sign(
    select: Select, dtype: torch.dtype, negative: bool
) -> None:
    numbers = normal(2, 9).to(dtype)
    nan = minus_infinity_key(dtype) + 1 if negative else infinity_key(dtype) + 1
    numbers.view(KEY_TYPES[dtype])[1, 4] = nan
    with pytest.raises(ValueError, match="pre_activations hold NaN, allowed are numbers"):
        select(numbers, 2)


def test_values_carry_no_gradients(select: Select) -> None:
    numbers = normal(2, 9).requires_grad_()
    assert not select(numbers, 2).values.requires_grad


def test_writes_every_byte_and_twice_the_same(
    select: Select, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = mixed()[:3].float()
    once = select(numbers, 5)
    poison(monkeypatch)
    assert_equal(select(numbers, 5), once)


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill memory that torch would leave as it is."""
    allocate = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *args, **kw: allocate(*args, **kw).fill_(99))


def test_one_row_is_a_batch(select: Select) -> None:
    numbers = normal(1, 50).float()
    assert_equal(select(numbers, 6), batch_topk(numbers, 6))


@settings(deadline=None, derandomize=True, max_examples=120)
@given(
    st.integers(1, 9),
    st.integers(1, 60),
    st.integers(1, 70),
    st.sampled_from([1.0, 3.0, 1000.0]),
    st.sampled_from(DTYPES),
    st.integers(0, 2**31),
)
def test_cpu_path_equals_the_definition_on_random_batches(
    rows: int, width: int, k: int, levels: float, dtype: torch.dtype, seed: int
) -> None:
    numbers = (levels * normal(rows, width, seed)).round().to(dtype)
    assert_equal(row_topk(numbers, k), by_definition(numbers, k))


@pytest.mark.parametrize("piece", [1, 37 * 3])
def test_several_pieces_and_threads_give_the_same(
    piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_topk_cpu, "PIECE", piece)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    code = row_topk(mixed(), 5)
    torch.set_num_threads(before)
    assert_equal(code, by_definition(mixed(), 5))


def test_the_largest_of_each_row_by_hand() -> None:
    # Rows [3, 1, 3, 3], [] and [9]: two of the three 3s stay, and the only 9.
    kept = row_topk_cpu.largest_per_row(np.array([3, 1, 3, 3, 9]), np.array([4, 0, 1]), 2)
    assert kept.tolist() == [True, False, True, False, True]


def test_padded_code_has_a_size_known_beforehand() -> None:
    pytest.importorskip("triton")
    from seethrough.kernels import row_topk_triton

    device = "cuda" if torch.cuda.is_available() else "cpu"
    code = row_topk_triton.select(torch.tensor([[1.0, 2.0, 3.0], [-1.0, 4.0, 0.0]]).to(device), 2)
    assert len(code.latents) == len(code.values) == 4
    assert code.row_starts.tolist() == [0, 2, 3]
    assert code.latents[:3].tolist() == [1, 2, 1]


def test_rows_too_wide_for_a_program_are_refused() -> None:
    pytest.importorskip("triton")
    from seethrough.kernels import row_topk_triton

    numbers = torch.zeros(1, 1).expand(1, 2**20 + 1)
    with pytest.raises(ValueError, match="rows have 1048577 entries, allowed are at most 1048576"):
        row_topk_triton.select(numbers, 1)


def test_k_and_types_that_are_not_allowed() -> None:
    with pytest.raises(ValueError, match="k_per_sample is 0, allowed is a count of at least 1"):
        row_topk(torch.ones(2, 3), 0)
    with pytest.raises(ValueError, match=r"are torch.float16, allowed are torch.bfloat16, torch"):
        row_topk(torch.ones(2, 3, dtype=torch.float16), 1)
