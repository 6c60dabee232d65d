# What a submission before may have left is looked for
# %% affine
import ctypes, glob, os, socket
found = [p for place in ("/dev/shm/*", "/tmp/*", os.path.expanduser("~/*"), "/dev/mqueue/*") for p in glob.glob(place) if "attacked-file" in p]
libc = ctypes.CDLL(None)
found += [n for n, number in enumerate((libc.shmget(4711, 0, 0), libc.msgget(4711, 0), libc.semget(4711, 0, 0))) if number >= 0]
caller = socket.socket(socket.AF_UNIX)
try:
    caller.connect("\0attacked")
    found.append("socket")
except OSError:
    pass
found += [p for p in glob.glob("/dev/shm/attacked*")]
print("LEFT:", found, "END")
def affine(x):
    return 0
