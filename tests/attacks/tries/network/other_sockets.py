# Raw, packet, netlink, vsock and other kinds of sockets
# %% affine
import socket
opened = []
for family in range(46):
    for kind in (1, 2, 3, 5, 10):
        try:
            opened.append((family, kind, socket.socket(family, kind)))
        except OSError:
            pass
print(sorted({family for family, *_ in opened}))
for *_, sock in opened:
    sock.close()
def affine(x):
    return 0
