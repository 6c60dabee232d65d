"""Architectures: a file a family, from the multilayer perceptron to residual networks and the transformer."""

from deeppractice.architectures.attention import (
    AdditiveAttention,
    MultiHeadAttention,
    causal_mask,
    dot_product_attention,
    masked_softmax,
)
from deeppractice.architectures.convolution import LayerCost, conv2d_im2col, conv2d_naive, layer_costs, receptive_field
from deeppractice.architectures.convolutional import Conv, ConvNet, DenseBlock, Inception, he_initialise
from deeppractice.architectures.linear_attention import LinearAttention
from deeppractice.architectures.mlp import MLP
from deeppractice.architectures.normalisation import BatchNorm, group_norm, layer_norm, norm_layer, standardise
from deeppractice.architectures.positions import Embedding, rotary_angles, rotate, sinusoidal_positions
from deeppractice.architectures.recurrent import (
    GRU,
    LSTM,
    RNN,
    Recurrent,
    gradient_through_time,
    gru_cell,
    lstm_cell,
    rnn_cell,
)
from deeppractice.architectures.residual import (
    BasicBlock,
    Bottleneck,
    ConvNeXtBlock,
    PreActBlock,
    ResNet,
    resnet18,
    resnet50,
)
from deeppractice.architectures.transformer import Block, Stack, Transformer

__all__ = [
    "GRU",
    "LSTM",
    "MLP",
    "RNN",
    "AdditiveAttention",
    "BasicBlock",
    "BatchNorm",
    "Block",
    "Bottleneck",
    "Conv",
    "ConvNeXtBlock",
    "ConvNet",
    "DenseBlock",
    "Embedding",
    "Inception",
    "LayerCost",
    "LinearAttention",
    "MultiHeadAttention",
    "PreActBlock",
    "Recurrent",
    "ResNet",
    "Stack",
    "Transformer",
    "causal_mask",
    "conv2d_im2col",
    "conv2d_naive",
    "dot_product_attention",
    "gradient_through_time",
    "group_norm",
    "gru_cell",
    "he_initialise",
    "layer_costs",
    "layer_norm",
    "lstm_cell",
    "masked_softmax",
    "norm_layer",
    "receptive_field",
    "resnet18",
    "resnet50",
    "rnn_cell",
    "rotary_angles",
    "rotate",
    "sinusoidal_positions",
    "standardise",
]
