"""Decoder rows of norm 1: gradients that lie along the sphere, rows that stay on it."""

import torch

from seethrough.sae.unit_norm import project_gradient, renormalise


def test_the_gradient_is_orthogonal_to_each_row_and_otherwise_as_it_was():
    generator = torch.Generator().manual_seed(0)
    W_dec = torch.randn(7, 4, generator=generator).double()
    renormalise(W_dec)
    W_dec.requires_grad_()
    gradient = torch.randn(7, 4, generator=generator).double()
    W_dec.grad = gradient.clone()
    project_gradient(W_dec)
    torch.testing.assert_close((W_dec.grad * W_dec.detach()).sum(1), torch.zeros(7).double())
    taken = gradient - W_dec.grad
    along = (gradient * W_dec.detach()).sum(1, keepdim=True)
    torch.testing.assert_close(taken, along * W_dec.detach())


def test_rows_get_norm_one_and_keep_their_direction():
    W_dec = torch.tensor([[3.0, -4.0], [1e-20, 0.0], [0.0, 0.0]])
    renormalise(W_dec)
    torch.testing.assert_close(W_dec, torch.tensor([[0.6, -0.8], [1.0, 0.0], [0.0, 0.0]]))
