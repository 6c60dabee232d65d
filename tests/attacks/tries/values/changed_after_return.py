# What was returned is changed afterwards, by a thread and by the next call
# outcome: graded|student-error
# %% affine
import threading
import torch
kept = []
def affine(x):
    result = torch.zeros(5) if hasattr(x, "shape") else [0]
    kept.append(result)
    def later():
        while True:
            for one in kept:
                one[0] = 7
    if len(kept) == 1:
        threading.Thread(target=later, daemon=True).start()
    return result
# %% batches
def batches(count, size):
    found = [torch.zeros(size)]
    found *= count + 1
    return iter(found)
