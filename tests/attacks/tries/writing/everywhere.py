# Files are made wherever it can be tried
# %% affine
import os, pathlib, shutil, sys
places = ["@ROOT@", "@OPEN@", "@ROOT@/course", "/", "/etc", "/tmp", "/var/tmp", "/dev/shm", "/root", "/opt", "/usr/lib"]
places += [str(pathlib.Path.home()), "..", "../..", *sys.path]
for place in places:
    for way in (lambda p: open(p, "w").write("x"), os.mkdir, lambda p: os.symlink("/", p), os.mkfifo):
        try:
            way(os.path.join(place, "@WITNESS@"))
        except OSError:
            pass
def affine(x):
    return 0
