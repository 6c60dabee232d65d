# Values that make a test's last value negative, infinite or more than there are points
# %% guess
def guess(values):
    return complex(0, float("inf"))
# %% digits
def digits(n):
    return 10**9
