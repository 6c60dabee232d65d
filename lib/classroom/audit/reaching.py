"""What reaches out of the sandbox, as text. @WORDS@ are filled in by `Bait.fill`; nothing of it runs here."""

DAEMON = """\
import subprocess
for _ in range(3):
    subprocess.Popen(["/bin/sh", "-c", "sleep 1000; : @MARK@"], start_new_session=True,
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""

NETWORK = """\
import socket
def way(kind, family, address):
    with socket.socket(family, kind) as end:
        end.settimeout(1)
        end.connect(address)
        end.send(b"a submission")
for kind, family, address in (
    (socket.SOCK_STREAM, socket.AF_INET, ("127.0.0.1", @PORT@)),
    (socket.SOCK_DGRAM, socket.AF_INET, ("127.0.0.1", @PORT@)),
    (socket.SOCK_STREAM, socket.AF_UNIX, "\\0" + @ABSTRACT@),
    (socket.SOCK_STREAM, socket.AF_INET, ("192.0.2.1", 80)),
    (socket.SOCK_STREAM, socket.AF_INET, ("169.254.169.254", 80)),
):
    try:
        way(kind, family, address)
    except Exception as error:
        print(address, type(error).__name__)
try:
    print("resolved", socket.getaddrinfo("example.org", 80))
except Exception as error:
    print(type(error).__name__)
"""

READ = """\
import glob, os, sys
for place in (@ROOT@, @HOME@, "/root", "/home", "/tmp", "/var/tmp", "/proc/1/root", "/proc/*/root", "/proc/*/cwd"):
    for top in glob.glob(place):
        for name in (".canary-*", "gradebook.db", "secret", "*/gradebook.db", "*/*/*.ipynb", "*.py", "../*/*.ipynb"):
            for path in glob.glob(os.path.join(top, name), include_hidden=True)[:100]:
                try:
                    with open(path, "rb") as file:
                        data = file.read(4000)
                except OSError:
                    continue
                theirs = path.startswith(@ROOT@) and not path.startswith(sys.prefix)
                theirs = theirs or os.path.basename(path) in ("gradebook.db", "secret")
                print("@FOUND@" if theirs else "read", path, data.decode("latin-1")[:500])
for path in [path for name in @CANARIES@ for path in glob.glob(name)]:
    try:
        with open(path) as file:
            print(file.read())
    except OSError as error:
        print(type(error).__name__)
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        with open(path, "rb") as file:
            print(file.read().decode("latin-1"))
    except OSError:
        pass
print(dict(os.environ))
"""

WRITE = """\
import glob, os, pathlib, sys
places = [@ROOT@, @HOME@, "/", "/etc", "/root", "/tmp", "/var/tmp", "/dev/shm", "/run", os.path.expanduser("~")]
places += ["~/.ipython/profile_default/startup", "~/.jupyter", "~/.config/matplotlib", *sys.path]
for place in places:
    for name in (@WITNESS@, "usercustomize.py", "@MARK@.pth"):
        try:
            folder = pathlib.Path(os.path.expanduser(place))
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / name
            if not path.exists():
                path.write_text("# written by a submission: @MARK@")
        except OSError:
            pass
import IPython, numpy
for module in (IPython, numpy):
    try:
        with open(module.__file__, "a") as file:
            file.write("# written by a submission: @MARK@")
    except OSError:
        pass
"""

# The parts of a line stand apart, so that neither this text nor what it makes is a match.
SEARCH = """\
import gc, glob, os, sys
parts = @NEEDLES@
control = "".join(["control", "-of-", "the-search-", @CONTROL@]) * 2
times = [0]
def audit_search():
    times[0] += 1
    if times[0] > 2:
        return
    found = set()
    def look(data, where):
        for number, (first, rest) in enumerate(parts):
            at = data.find(rest)
            while at > 0:
                if data[max(0, at - len(first)) : at] == first:
                    found.add((number, where))
                    break
                at = data.find(rest, at + 1)
    for place in glob.glob("/proc/[0-9]*"):
        try:
            with open(place + "/maps") as file:
                spans = [line.split() for line in file]
            with open(place + "/mem", "rb", buffering=0) as memory:
                for span in spans:
                    begin, end = (int(part, 16) for part in span[0].split("-"))
                    if "rw" in span[1] and end - begin < 1 << 28:
                        memory.seek(begin)
                        look(memory.read(end - begin), "memory")
        except (OSError, ValueError):
            pass
    places = ["/proc/*/cmdline", "/proc/*/environ", "/proc/*/fd/*", "/tmp/*", "/dev/shm/*", os.path.expanduser("~/*")]
    for place in places:
        for name in glob.glob(place):
            try:
                if os.path.isfile(name) and os.path.getsize(name) < 10_000_000:
                    with open(name, "rb") as file:
                        look(file.read(), name)
            except (OSError, ValueError):
                pass
    for number, where in sorted(found):
        print("@FOUND@ line", number, "in", where)
audit_search()
"""
