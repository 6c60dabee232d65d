"""A student's kernel, started as JupyterLab starts one, has the library soon."""

from jupyter_client.manager import start_new_kernel

MOST_SECONDS = 5  # of the processor, which is what it takes on a machine with nothing else to do
ROOMS = "checks, claims, data, training, viz"
CODE = f"""\
import time
from deeppractice import {ROOMS}
print(time.process_time())"""


def test_a_kernel_has_the_library_within_five_seconds(tmp_path):
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        printed = []
        reply = client.execute_interactive(CODE, timeout=240, output_hook=printed.append)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok", reply
    (seconds,) = [float(said["content"]["text"]) for said in printed if said["msg_type"] == "stream"]
    assert seconds < MOST_SECONDS
