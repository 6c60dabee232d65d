# A dict whose keys all have one hash, sent without ever being made
# outcome: student-error
# %% words
import itertools
from classroom.inside.examine import answers
keys = [{"t": list(key)} for key in itertools.product((-1, -2), repeat=15)]
before = answers.Answers._reply
def reply(self, message, blob, encoder):
    found = before(self, message, blob, encoder)
    if message["op"] == "call":
        found["v"] = {"d": [keys, [1] * len(keys)]}
    return found
answers.Answers._reply = reply
def words(text):
    return 0
