# A range where a test makes a list
# outcome: graded|student-error
# %% batches
def batches(count, size):
    return range(10**9)
