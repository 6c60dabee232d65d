# Recursion until the stack of the interpreter breaks
# outcome: graded|student-error
# %% reverse
import sys
sys.setrecursionlimit(10**9)
def reverse(x):
    nested = []
    for _ in range(1_000_000):
        nested = [nested]
    return repr(nested)
