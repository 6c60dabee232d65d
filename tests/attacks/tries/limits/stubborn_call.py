# A call that never ends and does not react to the interrupt
# outcome: student-error
# %% affine
import signal
def affine(x):
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    signal.sigwait([])
