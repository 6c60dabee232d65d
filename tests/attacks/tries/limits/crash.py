# The interpreter crashes, in a call
# outcome: student-error
# %% affine
import ctypes
def affine(x):
    ctypes.string_at(0)
