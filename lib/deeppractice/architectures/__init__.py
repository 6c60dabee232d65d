"""Architectures: a file a family. So far the multilayer perceptron; chapter 2 fills the room."""

from deeppractice.architectures.mlp import MLP

__all__ = ["MLP"]
