# Connections to this machine by every address
# %% affine
import socket
for host in ("127.0.0.1", "@HOST@", "0.0.0.0", "::1", "localhost", "host.docker.internal", "169.254.169.254"):
    try:
        with socket.create_connection((host, @TCP@), timeout=1) as connection:
            connection.sendall(b"tcp to " + host.encode())
            print("reached")
    except OSError as error:
        print(error)
def affine(x):
    return 0
