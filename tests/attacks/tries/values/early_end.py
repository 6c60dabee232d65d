# Functions that raise StopIteration, so that loops over their results end without a comparison
# %% affine
def affine(x):
    raise StopIteration
# %% batches
def batches(count, size):
    return iter(())
# %% words
def words(text):
    raise StopIteration
# %% twice
def twice(f):
    raise StopIteration
