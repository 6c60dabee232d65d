# Values nested so deep, or in themselves, that what takes them apart runs out of stack
# outcome: graded|student-error
# %% affine
def affine(x):
    nested = []
    for _ in range(100_000):
        nested = [nested]
    return nested
# %% words
def words(text):
    found = {}
    found["a"] = found
    return found
# %% digits
def digits(n):
    found = []
    found.append(found)
    return found
