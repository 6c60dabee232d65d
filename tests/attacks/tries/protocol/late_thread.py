# A thread goes on sending results after its call has returned
# outcome: graded|student-error
# %% affine
import json, os, struct, threading, time
def later():
    body = json.dumps({"v": True, "t": []}).encode()
    until = time.monotonic() + 3
    while time.monotonic() < until:
        for fd in [int(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2]:
            try:
                os.write(fd, struct.pack(">IQ", len(body), 0) + body)
            except OSError:
                pass
        time.sleep(0.001)
def affine(x):
    threading.Thread(target=later, daemon=True).start()
    return 0
