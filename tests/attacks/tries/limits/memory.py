# Memory without end, by one process and by many
# outcome: graded|student-error
# %% affine
import os, time
for _ in range(4):
    if os.fork() == 0:
        try:
            hoard = [bytearray(b"x" * 50_000_000) for _ in range(100)]
        except MemoryError:
            time.sleep(2)
        os._exit(0)
hoard = [bytearray(b"x" * 50_000_000) for _ in range(100)]
