# Replies to questions that are still to come are sent while a cell runs
# outcome: graded|student-error
# %% affine
import json, os, struct
def affine(x):
    return 0
reply = json.dumps({"id": 8, "outputs": [], "status": "ok", "seconds": 0, "cpu": 0, "checks": []}).encode()
for fd in [int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2]:
    for _ in range(20):
        try:
            os.set_blocking(fd, False)
            os.write(fd, struct.pack(">I", len(reply)) + reply)
        except OSError:
            pass
