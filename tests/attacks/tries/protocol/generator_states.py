# Generators of random numbers whose state says that there are more numbers than there are
# outcome: student-error
# %% affine
import struct
import torch
def forged(left, following):
    state = bytearray(torch.Generator().get_state().numpy().tobytes())
    state[8:12], state[16:24] = struct.pack("<i", left), struct.pack("<Q", following)
    return torch.Generator().set_state(torch.frombuffer(state, dtype=torch.uint8))
def affine(x):
    return forged(624, 624)
# %% square
def square(x):
    return forged(624, 600)
