# Threads without number
# outcome: graded|student-error
# %% affine
import threading, time
def affine(x):
    return 0
try:
    for _ in range(5000):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
except RuntimeError as error:
    print(error)
