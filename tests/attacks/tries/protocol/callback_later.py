# Functions of an earlier test are kept, and called in later tests
# %% twice
kept = []
def twice(f):
    kept.append(f)
    return lambda x: 0
# %% words
def words(text):
    return [f(1) for f in kept]
# %% digits
def digits(n):
    for f in kept:
        try:
            print(f(1))
        except Exception as error:
            print(error)
    return []
