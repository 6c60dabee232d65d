# Processes that are to go on after the end: double forks, sessions of their own, ignored signals
# outcome: graded|student-error
# %% affine
import os, signal, subprocess, sys
for signum in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(signum, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv("/bin/sh", ["sh", "-c", "sleep 1000; : @WITNESS@-left"])
    os._exit(0)
subprocess.Popen(["setsid", "nohup", "sh", "-c", "sleep 1000; : @WITNESS@-left"], start_new_session=True)
def affine(x):
    return 0
