"""The benchmark of a GPU, tried out on the CPU: it goes the whole way with the trainer and counts what the model has."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "bench" / "gpu.py"


@pytest.mark.parametrize("method", ["full", "lora"])
def test_bench(method: str):
    command = [sys.executable, str(SCRIPT), "--shape", "tiny", "--device", "cpu", "--dtype", "float32", "--context", "64", "--steps", "4"]
    done = subprocess.run([*command, "--method", method], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["parameters"] == 139_584
    # Of two blocks: q and o, k and v, gate, up and down, each with its two sides.
    adapters = 2 * 64 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 128))
    assert told["trained"] == (139_584 if method == "full" else adapters)
    assert told["steps"] == 2 and told["tokens_per_second"] > 0
    assert told["share_of_peak"] is None
