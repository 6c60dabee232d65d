# Values with a million parts, digits or letters
# outcome: graded|student-error
# %% affine
def affine(x):
    return 1 << 9_000_000 if isinstance(x, int) else [0] * 3_000_000
# %% words
def words(text):
    return {n: "a" for n in range(600_000)}
# %% digits
def digits(n):
    return range(10**18)
# %% prefix
def prefix(values):
    return "9" * 30_000_000
