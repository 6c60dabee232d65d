# Datagrams, broadcasts, and names that are looked up
# %% affine
import socket
for kind, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "@HOST@"), (socket.AF_INET, "255.255.255.255"), (socket.AF_INET6, "::1")):
    try:
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.sendto(b"udp", (host, @UDP@))
            print("sent")
    except OSError as error:
        print(error)
for name in ("example.org", "canary.example.org", socket.gethostname()):
    try:
        print(socket.getaddrinfo(name, 80))
    except OSError as error:
        print(error)
def affine(x):
    return 0
