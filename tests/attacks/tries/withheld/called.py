# What is withheld is called all the same
# %% prefix
import numpy as np
def prefix(values):
    return np.cumsum(values)
# %% own prefix-tests
from numpy import cumsum
def prefix(values):
    return cumsum(values)
