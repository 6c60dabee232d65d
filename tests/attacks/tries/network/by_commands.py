# Programs that send: curl, wget, ssh, nc, bash's /dev/tcp, another Python
# %% affine
import subprocess, sys
for line in ("curl -m 1 http://127.0.0.1:@TCP@/", "wget -t 1 -T 1 -O- http://@HOST@:@TCP@/", "echo hello > /dev/tcp/127.0.0.1/@TCP@",
             "nc -w 1 127.0.0.1 @TCP@ </dev/null"):
    print(subprocess.run(["bash", "-c", line], capture_output=True, timeout=2).returncode)
code = "import urllib.request as r; r.urlopen('http://127.0.0.1:@TCP@/', timeout=1)"
print(subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, timeout=2).returncode)
def affine(x):
    return 0
