"""The order of a code by latent, against a list of its entries."""

import pytest
import torch

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.transposed_code import MAX_INT16, transpose_code


def code_of(rows: list[list[int]], width: int) -> RaggedCode:
    starts = torch.tensor([0, *(len(row) for row in rows)]).cumsum(0)
    latents = torch.tensor([latent for row in rows for latent in row], dtype=torch.int64)
    return RaggedCode(starts, latents, torch.ones(len(latents)), width)


def test_by_hand() -> None:
    # Entries (row, latent): (0, 1), (0, 3), (2, 0), (2, 3). Latent 0 holds row 2, entry 2; latent 1
    # row 0, entry 0; latent 2 nothing; latent 3 rows 0 and 2, entries 1 and 3.
    by_latent = transpose_code(code_of([[1, 3], [], [0, 3]], 4))
    assert by_latent.latent_starts.tolist() == [0, 1, 2, 2, 4]
    assert by_latent.rows.tolist() == [2, 0, 0, 2]
    assert by_latent.positions.tolist() == [2, 0, 1, 3]


@pytest.mark.parametrize("width", [9, MAX_INT16, MAX_INT16 + 1, 70_000])
def test_equals_a_sorted_list(width: int) -> None:
    generator = torch.Generator().manual_seed(width)
    last = width - 1  # the highest key of each integer type is among them
    rows = [
        sorted({last, *torch.randint(width, (n,), generator=generator).tolist()})
        for n in (0, 5, 40, 0, 3)
    ]
    code = code_of(rows, width)
    by_latent = transpose_code(code)
    entries = sorted(
        (latent, row, position)
        for position, (row, latent) in enumerate(
            (row, latent) for row, latents in enumerate(rows) for latent in latents
        )
    )
    latents, expected_rows, positions = zip(*entries, strict=True)
    assert by_latent.rows.tolist() == list(expected_rows)
    assert by_latent.positions.tolist() == list(positions)
    counts = torch.bincount(torch.tensor(latents), minlength=width)
    assert torch.equal(by_latent.latent_starts.diff(), counts)


@pytest.mark.parametrize(("n_rows", "width"), [(3, 4), (0, 4), (3, 0)])
def test_nothing_active(n_rows: int, width: int) -> None:
    by_latent = transpose_code(code_of([[]] * n_rows, width))
    assert by_latent.latent_starts.tolist() == [0] * (width + 1)
    assert by_latent.rows.tolist() == by_latent.positions.tolist() == []
