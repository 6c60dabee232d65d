# An answer of a million characters
# %% affine
text = "@LONG@"
def affine(x):
    return 0
