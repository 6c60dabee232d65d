"""How many glyphs a second: images drawn at 28 × 28, plain and with backgrounds and noise, and at 64 × 64.

    make bench

Prints a table and writes benchmarks/data-cpu.json. Seconds are those of this process on one thread, since the machines
that this runs on are noisy; each row is the median of several runs. The first call also draws the characters that the
rest finds ready.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch

from deeppractice.data import load
from deeppractice.data.glyphs import BACKGROUNDS

SETTINGS = {
    "28 × 28": {},
    "28 × 28, all backgrounds, noise": {"backgrounds": BACKGROUNDS, "noise": (0, 0.2)},
    "64 × 64": {"size": 64},
}


def seconds(**settings) -> float:
    start = time.process_time()
    load("glyphs", **settings)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    first = seconds(n=1000)
    print(f"first call, 1,000 images and the characters of all fonts: {first:.2f} s")
    rates = {}
    for name, settings in SETTINGS.items():
        runs = [arguments.images / seconds(n=arguments.images, seed=seed, **settings) for seed in range(arguments.runs)]
        rates[name] = {"median": round(statistics.median(runs)), "runs": [round(rate) for rate in runs]}
        print(f"{name:32} {statistics.median(runs):8,.0f} images/s")
    result = {
        "what": "glyphs drawn per second of process time on one thread",
        "device": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "images": arguments.images,
        "first_call_seconds": round(first, 3),
        "images_per_second": rates,
    }
    path = Path(__file__).with_name("data-cpu.json")
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
