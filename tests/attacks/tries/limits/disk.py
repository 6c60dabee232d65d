# The disk is filled: home, temporary folder, files without number, a file with a hole
# outcome: graded|student-error
# %% affine
import os
for place in (".", "/tmp"):
    try:
        with open(f"{place}/fill", "wb") as file:
            for _ in range(500):
                file.write(bytes(1_000_000))
    except OSError as error:
        print(error)
try:
    with open("hole", "wb") as file:
        file.truncate(1 << 45)
except OSError as error:
    print(error)
try:
    for number in range(100_000):
        os.close(os.open(f"/tmp/{number}", os.O_CREAT))
except OSError as error:
    print(error)
def affine(x):
    return 0
