"""The random code keeps every unit's values and nothing else."""

import torch

from seethrough.metrics import mutual_information, random_code


def test_every_unit_keeps_its_values_and_loses_its_images():
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(2000, 6, generator=generator).sub(1).relu()
    codes[:, 3] = 0  # dead
    codes[:, 4] = codes[:, 5]  # a copy
    control = random_code(codes, generator)
    assert torch.equal(control.sort(dim=0).values, codes.sort(dim=0).values)
    # Orders of different units are independent: the copies agree by chance only.
    agreement = ((control[:, 4] > 0) == (control[:, 5] > 0)).double().mean()
    share = (codes[:, 5] > 0).double().mean()
    expected = share**2 + (1 - share) ** 2
    # Standard deviation of the agreement is below 0.5 / sqrt(2000) = 0.011.
    assert abs(agreement - expected) < 0.04


def test_nothing_is_known_of_the_factors():
    factors = torch.arange(2000)[:, None] % 5
    control = random_code(factors.float(), torch.Generator().manual_seed(0))
    # Bias (5 - 1)(5 - 1) / (2 x 2000) = 0.004 nats of log 5 = 1.6.
    assert float(mutual_information(control, factors)) < 0.02


def test_the_generator_decides_and_the_input_stays():
    codes = torch.arange(50.0).view(25, 2)
    first, again, other = (
        random_code(codes, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(codes, torch.arange(50.0).view(25, 2))


def test_no_images_give_no_code():
    assert random_code(torch.zeros(0, 3), torch.Generator().manual_seed(0)).shape == (0, 3)
