# Generators that never end, where a test makes a list
# outcome: graded|student-error
# %% batches
import torch
def batches(count, size):
    while True:
        yield 1
