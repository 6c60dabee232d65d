"""How a GAN is trained: both players in turn, a step of Adam each.

Source: Goodfellow et al. (2014), algorithm 1; Arjovsky et al. (2017), algorithm 1, for the clipped weights. Taught in
chapter 1, "What a GAN plays for".
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from deeppractice import runtime
from deeppractice.generative.gan import GAN
from deeppractice.training import progress_bar


@dataclass
class GANHistory:
    """Losses of both players, one value for each step of the generator."""

    critic: list[float] = field(default_factory=list)
    generator: list[float] = field(default_factory=list)


def fit_gan(
    gan: GAN,
    batches: Iterable[tuple[Tensor, ...]],
    *,
    steps: int = 1000,
    critic_steps: int = 1,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.5, 0.9),
    seed: int = 0,
    precision: str = "float32",
    device: torch.device | str | None = None,
    progress: bool | None = None,
) -> GANHistory:
    """Train both players in turn with Adam, in place; the GAN stays on the device, in evaluation mode.

    Args:
        batches: of tuples whose first item is the data; started again when they end: `minibatches(...)`, a DataLoader.
        steps: of the generator.
        critic_steps: of the critic before each of them.
        betas: of Adam; a momentum of 0.5 rather than 0.9, because the loss of each player moves with the other.
        seed: of the noise, and of the points at which a gradient penalty looks.

    Raises:
        ValueError: for no steps, or no batches.
        FloatingPointError: if a loss stops being finite; names the step and the player.
    """
    if steps < 1 or critic_steps < 1:
        raise ValueError(f"expected 1 step or more of each player, got {steps} and {critic_steps}")
    device = runtime.device(None if device is None else str(device))
    gan.to(device).train()
    fused = runtime.has_fused_optimizer(device)
    optimizers = {
        player: torch.optim.Adam(getattr(gan, player).parameters(), lr=lr, betas=betas, fused=fused)
        for player in ("critic", "generator")
    }
    noise, data = runtime.generator(seed, device), _forever(batches)
    history, looked = GANHistory(), 0
    with progress_bar(steps, progress) as advance:
        for step in range(steps):
            for _ in range(critic_steps):
                x = next(data).to(device, non_blocking=True)
                with runtime.autocast(device, precision):
                    critic = gan.critic_step_loss(x, gan.noise(len(x), generator=noise), generator=noise)
                _descend(critic, optimizers["critic"])
                if gan.loss == "wgan":
                    for weight in gan.critic.parameters():
                        weight.data.clamp_(-gan.clip, gan.clip)
            with _frozen(gan.critic):  # its gradients would be computed and thrown away
                with runtime.autocast(device, precision):
                    generator = gan.generator_step_loss(gan.noise(len(x), generator=noise))
                _descend(generator, optimizers["generator"])
            history.critic.append(critic.detach())
            history.generator.append(generator.detach())
            # Elsewhere than on the CPU each look waits for the device.
            if runtime.reads_are_free(device) or step == steps - 1 or step % 100 == 99:
                _assert_finite(history, first=looked)
                looked = step + 1
            advance()
    history.critic, history.generator = (torch.stack(v).tolist() for v in (history.critic, history.generator))
    gan.eval()
    return history


def _forever(batches: Iterable[tuple[Tensor, ...]]) -> Iterator[Tensor]:
    """The data of one batch after the other, pass after pass."""
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch[0]
        if empty:
            raise ValueError("expected at least one batch, got none (a generator can be read only once; give a list)")


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Parameters without gradients for the length of a block, an interrupted one included."""
    trained = [p for p in module.parameters() if p.requires_grad]
    try:
        module.requires_grad_(False)
        yield
    finally:
        for p in trained:
            p.requires_grad_(True)


def _descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _assert_finite(history: GANHistory, first: int) -> None:
    """Raise for the first loss that is not finite, from the step `first` on."""
    rounds = torch.stack([torch.stack(history.critic[first:]), torch.stack(history.generator[first:])], dim=1)
    for step, values in enumerate(rounds.tolist(), start=first):
        for player, value in zip(("critic", "generator"), values, strict=True):
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"the {player}'s loss is {value} at step {step}: try a smaller learning rate, or another loss"
                )
