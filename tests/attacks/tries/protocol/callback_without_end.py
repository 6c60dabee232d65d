# A function of a test is called within itself without end
# outcome: graded|student-error
# %% twice
def twice(f):
    class Deeper:
        def __add__(self, other):
            return f(Deeper())
        __mul__ = __add__
    def call(x):
        for _ in range(10**9):
            f(Deeper())
    return call
