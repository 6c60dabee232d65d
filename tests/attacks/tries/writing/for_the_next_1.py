# Something is left for the next submission: shared memory, queues, semaphores, sockets, files, keys
# %% affine
import ctypes, os, socket
from multiprocessing import shared_memory
try:
    memory = shared_memory.SharedMemory("attacked", create=True, size=64)
    memory.buf[:6] = b"canary"
except OSError as error:
    print(error)
for place in ("/dev/shm/attacked-file", "/tmp/attacked-file", os.path.expanduser("~/attacked-file"), "/dev/mqueue/attacked-file"):
    try:
        open(place, "w").write("left")
    except OSError as error:
        print(error)
libc = ctypes.CDLL(None)
print(libc.shmget(4711, 4096, 0o1666), libc.msgget(4711, 0o1666), libc.semget(4711, 1, 0o1666))
kept = socket.socket(socket.AF_UNIX)
kept.bind("\0attacked")
kept.listen()
def affine(x):
    return 0
