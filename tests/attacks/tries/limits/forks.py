# Processes without number
# outcome: graded|student-error
# %% affine
import os, time
def affine(x):
    return 0
for _ in range(2000):
    try:
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
    except OSError as error:
        print(error)
        break
