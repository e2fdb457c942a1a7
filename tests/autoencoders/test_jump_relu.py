import math

import pytest
import torch

from seethrough.autoencoders.jump_relu import JumpReLU, JumpReLUModule
from seethrough.training.initialise import generator_for


def module_with(thresholds: list[float], window: float) -> JumpReLUModule:
    module = JumpReLU(start=9, end=2, weight=3.0).module(len(thresholds))
    with torch.no_grad():
        module.log_threshold.copy_(torch.tensor(thresholds).log())
    module.window.fill_(window)
    return module


def test_values_worked_by_hand() -> None:
    module = module_with([1.0, 0.5], window=0.2)
    code = torch.tensor([[1.5, 0.5], [1.0, 0.6], [0.2, 9.0]])
    expected = torch.tensor([[1.5, 0.0], [0.0, 0.6], [0.0, 9.0]])  # above, not at, the threshold
    torch.testing.assert_close(module(code, 2.0), expected)
    assert float(module.count(code).detach()) == pytest.approx(1.0)  # 3 entries on 3 inputs


def test_gradients_worked_by_hand() -> None:
    # thresholds 1 and 0.5, window 0.2: inside are 1.05 and 0.95 of the first unit, 0.45 of the
    # second. dz/dtheta = -theta / 0.2 for each, times dtheta/dlog theta = theta.
    module = module_with([1.0, 0.5], window=0.2)
    code = torch.tensor([[1.05, 0.45], [0.95, 2.0], [3.0, 0.1]], requires_grad=True)
    module(code, 2.0).sum().backward()
    torch.testing.assert_close(module.log_threshold.grad, torch.tensor([-10.0, -1.25]))
    assert code.grad is not None
    assert code.grad.tolist() == [[1, 0], [0, 1], [1, 0]]


def test_the_count_moves_thresholds_alone() -> None:
    # dL0/dtheta = -1 / 0.2 per entry inside the window, mean over 2 inputs, times theta
    module = module_with([1.0, 0.5], window=0.2)
    code = torch.tensor([[1.05, 0.45], [0.95, 2.0]], requires_grad=True)
    module.count(code).backward()
    torch.testing.assert_close(module.log_threshold.grad, torch.tensor([-5.0, -1.25]))
    assert code.grad is None


def test_the_penalty_pulls_the_count_to_its_target() -> None:
    # 4 entries above 0.5 on 2 inputs: L0 = 2; target 1: 3 (2 / 1 - 1)^2 = 3
    module = module_with([0.5, 0.5, 0.5], window=1.0)
    code = torch.tensor([[0.6, 0.7, 0.1], [0.9, 0.8, 0.2]])
    penalty = module.penalty(code, 1.0)
    assert float(penalty.detach()) == pytest.approx(3.0)
    penalty.backward()
    assert module.log_threshold.grad is not None
    assert bool((module.log_threshold.grad < 0).all())  # a step against it raises thresholds


def test_nothing_is_asked_while_the_relu_leaves_fewer() -> None:
    module = module_with([0.5, 0.5, 0.5], window=1.0)
    code = torch.tensor([[0.6, 0.7, 0.0], [0.9, 0.1, 0.0]])  # 2 positive entries per input
    assert float(module.penalty(code, 2.0).detach()) == 0
    assert float(module.penalty(code, 1.9).detach()) > 0


def test_the_window_holds_a_finite_difference() -> None:
    """For codes spread evenly over the window the estimate is the slope of the expected count."""
    codes = torch.linspace(0.5, 1.5, 20_001)[:, None]
    module = module_with([1.0], window=0.4)
    module.count(codes).backward()
    step = 0.1
    counts = [float((codes > 1 + s).double().mean()) for s in (step, -step)]
    slope = (counts[0] - counts[1]) / (2 * step)  # d count / d theta, theta = 1
    assert module.log_threshold.grad is not None
    assert float(module.log_threshold.grad) == pytest.approx(slope, rel=1e-2)


def test_the_start_has_the_scale_of_the_codes() -> None:
    relu_code = torch.tensor([[2.0, 0.0], [4.0, 6.0]])  # mean positive code 4
    module = JumpReLU(first_threshold=0.1, bandwidth=0.5).module(2)
    module.begin(relu_code)
    torch.testing.assert_close(module.log_threshold.exp(), torch.full((2,), 0.4))
    assert float(module.window) == pytest.approx(2.0)
    module.begin(torch.zeros(3, 2))  # a layer that is silent throughout has no scale: 1
    assert float(module.window) == pytest.approx(0.5)


def test_thresholds_follow_a_falling_target() -> None:
    code = torch.rand(256, 40, generator=generator_for(0))
    module = JumpReLU(start=40, end=4).module(40)
    module.begin(code)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for step in range(300):
        optimizer.zero_grad()
        module.penalty(code, max(4.0, 40 - step / 5)).backward()
        optimizer.step()
    assert float(module.count(code).detach()) == pytest.approx(4, rel=0.1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"first_threshold": 0.0}, "first_threshold is 0.0, allowed is a number above 0"),
        ({"bandwidth": -1.0}, "bandwidth is -1.0, allowed is a number above 0"),
        ({"threshold_speed": math.inf}, "threshold_speed is inf, allowed is a number above 0"),
        ({"weight": -0.1}, "weight is -0.1, allowed is a number from 0"),
        ({"end": 0}, "k at the end is 0"),
    ],
)
def test_wrong_values_are_named(change: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        JumpReLU(**change)  # type: ignore[arg-type]
