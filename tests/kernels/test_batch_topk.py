"""The largest positive entries of a batch, against a sort in plain Python, on every path."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seethrough.kernels import batch_topk as module
from seethrough.kernels import batch_topk_cpu
from seethrough.kernels.batch_topk import batch_topk
from seethrough.kernels.float_keys import KEY_TYPES, infinity_key, minus_infinity_key
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.topk_reference import batch_topk_reference

Select = Callable[[Tensor, int], RaggedCode]
DTYPES = [torch.float32, torch.bfloat16, torch.float64]
PATHS = ["cpu", "reference", "triton interpreted", pytest.param("triton", marks=pytest.mark.gpu)]


@pytest.fixture(params=PATHS)
def select(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Select:
    """Return the selection on one path; the interpreter runs Triton's kernels on CPU tensors."""
    if request.param == "cpu":
        return batch_topk
    if request.param == "reference":
        monkeypatch.setattr(batch_topk_cpu, "select", batch_topk_reference)
        return batch_topk
    pytest.importorskip("triton")
    if request.param == "triton":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        return lambda numbers, k: on_cpu(batch_topk(numbers.cuda(), k))
    if torch.cuda.is_available():
        pytest.skip("with a card the kernels are not interpreted")
    monkeypatch.setattr(module, "takes_triton", lambda device: True)
    return batch_topk


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def on_cpu(code: RaggedCode) -> RaggedCode:
    return RaggedCode(code.row_starts.cpu(), code.latents.cpu(), code.values.cpu(), code.width)


def by_definition(numbers: Tensor, k: int) -> RaggedCode:
    """Sort all positive entries by size, of equal ones the first first, and keep k a row."""
    rows = numbers.tolist()
    entries = [(-x, b, m) for b, row in enumerate(rows) for m, x in enumerate(row) if x > 0]
    kept = sorted(sorted(entries)[: k * len(rows)], key=lambda entry: entry[1:])
    starts = [sum(b < row for _, b, _ in kept) for row in range(len(rows) + 1)]
    values = torch.tensor([-x for x, _, _ in kept], dtype=torch.float64).to(numbers.dtype)
    latents = torch.tensor([m for *_, m in kept], dtype=torch.int64)
    return RaggedCode(torch.tensor(starts), latents, values, numbers.shape[1])


def assert_equal(found: RaggedCode, wanted: RaggedCode) -> None:
    assert found.width == wanted.width
    assert found.row_starts.tolist() == wanted.row_starts.tolist()
    assert found.latents.tolist() == wanted.latents.tolist()
    assert found.values.dtype == wanted.values.dtype
    assert found.values.tolist() == wanted.values.tolist()


def normal(rows: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator, dtype=torch.float64)


def one_row(rows: int, width: int) -> Tensor:
    """Give all that is positive to one row."""
    numbers = -normal(rows, width).abs()
    numbers[rows // 2] *= -1
    return numbers


def ladder(rows: int, width: int) -> Tensor:
    """Steps no wider than a subnormal number of float32 and bfloat16, both signs, and zeros."""
    steps = torch.arange(rows * width, dtype=torch.float64).view(rows, width) - 20
    return steps * 2.0**-133


def ends(rows: int, width: int) -> Tensor:
    numbers = normal(rows, width)
    numbers[:, ::4] = torch.inf
    numbers[:, 1::4] = -torch.inf
    numbers[:, 2::4] = -0.0
    return numbers


CASES: dict[str, Callable[[int, int], Tensor]] = {
    "normal": normal,
    "ties": lambda rows, width: (2 * normal(rows, width)).round(),
    "all equal": lambda rows, width: torch.ones(rows, width, dtype=torch.float64),
    "all negative": lambda rows, width: -normal(rows, width).abs() - 0.1,
    "one row holds everything": one_row,
    "subnormal": ladder,
    "infinities and signed zeros": ends,
}


def test_by_hand(select: Select) -> None:
    # k B = 4 of six positive entries: 5, 4 and two of the three 2s, the first in row-major order,
    # which stand at (0, 1) and (0, 3).
    numbers = torch.tensor([[5.0, 2.0, -7.0, 2.0], [1.0, 0.0, 2.0, 4.0]])
    code = select(numbers, 2)
    assert code.row_starts.tolist() == [0, 3, 4]
    assert code.latents.tolist() == [0, 1, 3, 3]
    assert code.values.tolist() == [5.0, 2.0, 2.0, 4.0]
    assert code.width == 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", list(CASES))
def test_equals_the_definition(select: Select, case: str, dtype: torch.dtype) -> None:
    numbers = CASES[case](3, 21).to(dtype)
    assert_equal(select(numbers, 4), by_definition(numbers, 4))


@pytest.mark.parametrize("k", [1, 20, 21, 1000])
def test_k_up_to_the_width_and_beyond(select: Select, k: int) -> None:
    numbers = CASES["ties"](2, 21).float()
    assert_equal(select(numbers, k), by_definition(numbers, k))


def test_columns_need_not_be_adjacent(select: Select) -> None:
    numbers = normal(19, 6).float().T
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


def test_nan_alone_is_refused(select: Select) -> None:
    with pytest.raises(ValueError, match="pre_activations hold NaN"):
        select(torch.full((2, 20), torch.nan), 2)


def test_values_carry_no_gradients(select: Select) -> None:
    numbers = normal(2, 9).requires_grad_()
    assert not select(numbers, 2).values.requires_grad


def test_writes_every_byte_and_twice_the_same(
    select: Select, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = CASES["ties"](3, 37).float()
    once = select(numbers, 5)
    poison(monkeypatch)
    assert_equal(select(numbers, 5), once)


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill memory that torch would leave as it is."""
    allocate = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *args, **kw: allocate(*args, **kw).fill_(99))


def misleading() -> Tensor:
    """256 entries of which a sample of every 17th sees the largest alone, 16 of the 32 wanted."""
    numbers = normal(4, 64).abs().flatten()
    numbers[::17] += 100
    return numbers.view(4, 64).float()


def test_a_misleading_sample_changes_nothing(select: Select) -> None:
    assert_equal(select(misleading(), 8), by_definition(misleading(), 8))


def test_rows_and_batch_in_several_blocks(
    select: Select, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(batch_topk_cpu, "PIECE", 16)
    if "triton" in request.node.callspec.id:
        from seethrough.kernels import batch_topk_threshold_triton, batch_topk_triton

        monkeypatch.setattr(batch_topk_triton, "BLOCK", 16)
        monkeypatch.setattr(batch_topk_threshold_triton, "BLOCK", 32)
    numbers = CASES["ties"](2, 37).float()
    assert_equal(select(numbers, 9), by_definition(numbers, 9))


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
    assert_equal(batch_topk(numbers, k), by_definition(numbers, k))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("case", list(CASES))
def test_two_threads_give_the_same(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_topk_cpu, "PIECE", 100)
    numbers = CASES[case](21, 37).float()
    assert_equal(batch_topk(numbers, 3), by_definition(numbers, 3))


@pytest.mark.usefixtures("two_threads")
def test_nan_in_another_thread_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_topk_cpu, "PIECE", 10)
    numbers = normal(3, 37)
    numbers[2, 36] = torch.nan
    with pytest.raises(ValueError, match="pre_activations hold NaN"):
        batch_topk(numbers, 1)


def test_the_misleading_sample_does_mislead() -> None:
    keys = misleading().view(torch.int32).flatten().numpy()
    bound = batch_topk_cpu.likely_bound(keys, 32, 64)
    assert 0 < np.count_nonzero(keys >= bound) < 32


def test_a_usual_sample_lets_few_more_through_than_wanted() -> None:
    keys = normal(512, 513).float().view(torch.int32).flatten().numpy()
    bound = batch_topk_cpu.likely_bound(keys, 5000, 513)
    assert 5000 <= np.count_nonzero(keys >= bound) < 7500


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.integers(1, 5), st.integers(1, 200), st.data(), st.sampled_from([1.0, 3.0, 1e6]))
def test_as_many_as_wanted_reach_a_certain_bound(
    rows: int, width: int, data: st.DataObject, levels: float
) -> None:
    n_most = data.draw(st.integers(1, width))
    keys = (levels * normal(rows, width)).round().float().view(torch.int32).numpy()
    bounds = batch_topk_cpu.certain_bounds(keys, n_most)
    reached = (keys >= bounds[:, None]).sum(axis=1)
    assert bool(((bounds == 1) | (reached >= n_most)).all())
    assert bool((bounds >= 1).all())


def test_padded_code_has_a_size_known_beforehand() -> None:
    pytest.importorskip("triton")
    from seethrough.kernels import batch_topk_triton

    device = "cuda" if torch.cuda.is_available() else "cpu"
    numbers = one_row(4, 7).float().to(device)  # 7 positive entries, 2 x 4 wanted
    code = batch_topk_triton.select(numbers, 2)
    assert len(code.latents) == len(code.values) == 8
    assert code.row_starts.tolist() == [0, 0, 0, 7, 7]
    assert code.latents[:7].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert code.n_nan.tolist() == [0]


def test_a_batch_too_large_for_its_counts_is_refused() -> None:
    pytest.importorskip("triton")
    from seethrough.kernels import batch_topk_triton

    numbers = torch.zeros(1, 1).expand(2**16, 2**15)  # 2^31 entries in the memory of one
    with pytest.raises(ValueError, match="the batch has 2147483648 entries, allowed are at most"):
        batch_topk_triton.select(numbers, 1)


def test_k_and_types_that_are_not_allowed() -> None:
    with pytest.raises(ValueError, match="k_per_sample is 0, allowed is a count of at least 1"):
        batch_topk(torch.ones(2, 3), 0)
    with pytest.raises(ValueError, match=r"are torch.float16, allowed are torch.bfloat16, torch"):
        batch_topk(torch.ones(2, 3, dtype=torch.float16), 1)
