# A cell that never ends, and a call that never ends
# outcome: graded|student-error
# %% square
import time
def square(x):
    while True:
        time.sleep(0.01)
# %% digits
while True:
    time.sleep(0.01)
