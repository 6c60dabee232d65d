"""Gradients through a call of a student's function: the backward pass is a request. Imported where torch is in use."""

from __future__ import annotations

import weakref

import torch
from torch.autograd.function import once_differentiable


class _Link:
    """What a call's outputs know of it; its end tells the other side to forget the graph."""

    def __init__(self, remote, graph: int, inputs: list) -> None:
        self.remote, self.graph = remote, graph
        self.shapes = [(tensor.shape, tensor.dtype) for tensor in inputs]
        # A leaf of our own that every output depends on: outputs may lead to the student's parameters alone; and
        # whether a backward pass would reach it tells `backward` from `torch.autograd.grad`.
        self.anchor = torch.zeros((), requires_grad=True)
        self.reached = self.anchor.expand_as(self.anchor).grad_fn.next_functions[0][0]
        weakref.finalize(self, remote.forget, graph).atexit = False


class _Call(torch.autograd.Function):
    @staticmethod
    def forward(ctx, link: _Link, outputs: list, anchor, *inputs):
        ctx.link = link
        ctx.set_materialize_grads(False)
        return tuple(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx, *gradients):
        link = ctx.link
        accumulate = torch._C._will_engine_execute_node(link.reached)
        found = link.remote.request("backward", list(gradients), graph=link.graph, accumulate=accumulate)
        if type(found) is not list or len(found) != len(link.shapes):
            raise RuntimeError("the student's side gave no gradients")
        for gradient, (shape, dtype) in zip(found, link.shapes, strict=True):
            if gradient is None:
                continue
            if type(gradient) is not torch.Tensor or gradient.shape != shape or gradient.dtype != dtype:
                raise RuntimeError("the student's side gave a gradient of another shape or dtype")
        return None, None, None, *found


def tracked(remote, graph: int, outputs: list, inputs: list) -> tuple:
    """The outputs of a call, with a graph that leads to its inputs and, over there, to the student's parameters."""
    link = _Link(remote, graph, inputs)
    return _Call.apply(link, outputs, link.anchor, *inputs)
