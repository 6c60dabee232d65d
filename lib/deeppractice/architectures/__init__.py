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
from deeppractice.architectures.graphs import (
    GCN,
    GATLayer,
    GCNLayer,
    MessagePassing,
    adjacency,
    aggregate,
    gcn_edges,
    gcn_matrix,
    propagate,
    with_self_loops,
)
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
from deeppractice.architectures.segmentation import FullyConvolutional, UNet, fully_convolutional
from deeppractice.architectures.sets import PointNet, TNet
from deeppractice.architectures.transformer import Block, Stack, Transformer

__all__ = [
    "GCN",
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
    "FullyConvolutional",
    "GATLayer",
    "GCNLayer",
    "Inception",
    "LayerCost",
    "LinearAttention",
    "MessagePassing",
    "MultiHeadAttention",
    "PointNet",
    "PreActBlock",
    "Recurrent",
    "ResNet",
    "Stack",
    "TNet",
    "Transformer",
    "UNet",
    "adjacency",
    "aggregate",
    "causal_mask",
    "conv2d_im2col",
    "conv2d_naive",
    "dot_product_attention",
    "fully_convolutional",
    "gcn_edges",
    "gcn_matrix",
    "gradient_through_time",
    "group_norm",
    "gru_cell",
    "he_initialise",
    "layer_costs",
    "layer_norm",
    "lstm_cell",
    "masked_softmax",
    "norm_layer",
    "propagate",
    "receptive_field",
    "resnet18",
    "resnet50",
    "rnn_cell",
    "rotary_angles",
    "rotate",
    "sinusoidal_positions",
    "standardise",
    "with_self_loops",
]
