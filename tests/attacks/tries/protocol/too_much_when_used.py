# A value that is small enough to travel, and too large once a test makes a list of it
# outcome: graded|student-error
# %% batches
import numpy as np
def batches(count, size):
    return np.zeros(60_000_000, np.uint8)
