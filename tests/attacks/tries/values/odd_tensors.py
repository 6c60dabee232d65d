# Sparse, meta, quantized, nested and complex tensors
# %% affine
import torch
def affine(x):
    if isinstance(x, int):
        return torch.quantize_per_tensor(torch.zeros(1), 1.0, 0, torch.quint8)
    return torch.zeros(5).to_sparse() if torch.is_tensor(x) else torch.empty(4, device="meta")
# %% square
import torch
def square(x):
    return torch.zeros((), device="meta", requires_grad=True)
# %% batches
import torch
def batches(count, size):
    yield torch.empty(size, device="meta")
    yield torch.zeros(size).to_sparse()
    yield torch.zeros(size, dtype=torch.complex64)
# %% prefix
import torch
def prefix(values):
    return torch.zeros(6).to_sparse()
