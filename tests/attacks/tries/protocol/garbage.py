# What is sent as a value is of no known kind, of a wrong shape, or refers to what is not there
# outcome: student-error
# %% affine
from classroom.inside.examine import answers
garbage = [{"T": 99}, {"A": -1}, {"d": [[1], []]}, {"nt": ["class", ["__eq__"], [1]]}, {"h": True}, {"public": "os:system"},
           {"callback": 1}, {"f": "seven"}, {"r": [0, 10**18, 0]}, {"dtype": "qint8"}, {"z": [[]]}, {"draw": 7}]
count = [0]
before = answers.Answers._reply
def reply(self, message, blob, encoder):
    found = before(self, message, blob, encoder)
    if message["op"] == "call":
        count[0] += 1
        found["v"] = garbage[count[0] % len(garbage)]
    return found
answers.Answers._reply = reply
def affine(x):
    return 0
# %% words
def words(text):
    return 0
# %% digits
def digits(n):
    return 0
