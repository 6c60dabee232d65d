# What does the same under another name: a method, another function of the library
# gains: {prefix-tests: 2}
# shows: another name of the library is not the withheld one; list it too
# %% prefix
def prefix(values):
    return values.cumsum()
