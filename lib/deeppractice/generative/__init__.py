"""Generative models and how to judge them: VAE, GAN, diffusion, and a distribution of which everything is known."""

from deeppractice.generative.diffusion import Denoiser, Diffusion
from deeppractice.generative.gan import GAN, critic_loss, generator_loss, gradient_penalty
from deeppractice.generative.gan_training import GANHistory, fit_gan
from deeppractice.generative.measures import (
    TwoSampleTest,
    memorisation,
    mmd,
    mmd_test,
    mode_count,
    precision_recall,
)
from deeppractice.generative.mixture import GaussianMixture, gaussian_ring
from deeppractice.generative.vae import VAE, active_units, importance_bound, kl_to_standard_normal, reparameterise

__all__ = [
    "GAN",
    "VAE",
    "Denoiser",
    "Diffusion",
    "GANHistory",
    "GaussianMixture",
    "TwoSampleTest",
    "active_units",
    "critic_loss",
    "fit_gan",
    "gaussian_ring",
    "generator_loss",
    "gradient_penalty",
    "importance_bound",
    "kl_to_standard_normal",
    "memorisation",
    "mmd",
    "mmd_test",
    "mode_count",
    "precision_recall",
    "reparameterise",
]
