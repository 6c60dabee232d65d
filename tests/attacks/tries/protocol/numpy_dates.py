# Types of arrays that numpy's reader of their names does not survive
# outcome: student-error
# %% affine
import classroom.inside.examine.values as values
names = ["<M8[s/0]", "<m8[D/0]", "<M8[0s]", "<M8[2147483648s]", "<f8,<M8[s/0]"]
count = [0]
class Odd:
    pass
def encoded(self, value, kind):
    if kind is Odd:
        count[0] += 1
        return {"A": self.blob(memoryview(bytes(8)), dtype=names[count[0] % len(names)], shape=[1])}
values.Encoder._of_numpy = encoded
def affine(x):
    return Odd()
