"""What trains is one graph: no break, no work that grows with the rows of a batch, and the same values."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from deeppractice.generative import GAN, VAE, Denoiser, Diffusion


def gan_losses(gan: GAN, x: Tensor) -> Tensor:
    z = gan.noise(len(x))
    return gan.critic_step_loss(x, z) + gan.generator_step_loss(z)


CASES = {
    "VAE, bernoulli": (lambda: VAE((64,), 3, hidden=(16,)), VAE.loss),
    "VAE, gaussian": (lambda: VAE((64,), 3, hidden=(16,), likelihood="gaussian"), VAE.loss),
    "convolutional VAE, bernoulli": (lambda: VAE.convolutional((1, 8, 8), 3, width=4), VAE.loss),
    "convolutional VAE, gaussian": (
        lambda: VAE.convolutional((1, 8, 8), 3, width=4, likelihood="gaussian"),
        VAE.loss,
    ),
    "GAN, non-saturating": (lambda: GAN.mlp(64, hidden=(16,)), gan_losses),
    "GAN, saturating": (lambda: GAN.mlp(64, hidden=(16,), loss="saturating"), gan_losses),
    "GAN, wgan": (lambda: GAN.mlp(64, hidden=(16,), loss="wgan"), gan_losses),
    "convolutional GAN": (lambda: GAN.dcgan((1, 8, 8), 3, width=4), gan_losses),
    "Diffusion": (lambda: Diffusion((64,), width=16), Diffusion.loss),
    "Denoiser": (lambda: Denoiser((64,), width=16), lambda net, x: net(x, x.flatten(1)[:, 0]).square().mean()),
}


@pytest.mark.parametrize("case", CASES)
def test_one_graph_with_equal_values_and_gradients_at_any_batch_size(case: str, device: torch.device) -> None:
    make, loss = CASES[case]
    model = make().to(device)
    sizes: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable:
        sizes.append(len(graph.graph.nodes))
        return graph.forward

    torch.compiler.reset()
    compiled = torch.compile(lambda x: loss(model, x), fullgraph=True, dynamic=False, backend=backend)
    weights = list(model.parameters())
    for rows in (3, 40):
        x = torch.rand(rows, 64).to(device)
        x = x.view(rows, 1, 8, 8) if "convolutional" in case else x
        values = []
        for run in (lambda x: loss(model, x), compiled):
            torch.manual_seed(5)
            value = run(x)
            values.append((value, torch.autograd.grad(value, weights)))
        torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)
    assert len(sizes) == 2
    assert sizes[0] == sizes[1]
