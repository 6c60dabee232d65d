# A cell that never ends and does not react to the interrupt
# outcome: student-error
# %% affine
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
signal.sigwait([])
