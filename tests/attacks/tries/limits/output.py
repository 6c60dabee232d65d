# Output without end: text, results, errors, pictures, carriage returns
# outcome: graded|student-error
# %% square
def square(x):
    for _ in range(300):
        print("flood " * 10_000)
# %% digits
from IPython.display import display
for _ in range(100):
    display({"text/html": "<b>" * 100_000}, raw=True)
    print("\r" * 100_000)
# %% words
raise RuntimeError("x" * 10_000_000)
