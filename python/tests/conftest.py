"""Models and packs that several tests read."""

import os
import sys
from pathlib import Path

import pytest

# The fork server and what it forks find the package and these tests.
here = Path(__file__).parent
os.environ["PYTHONPATH"] = os.pathsep.join([str(here.parent), str(here)])
os.environ["HF_HUB_OFFLINE"] = "1"
sys.path[:0] = [str(here.parent), str(here)]

from small import job_value, make_packs, write_model, write_packs  # noqa: E402


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Jobs on one model and one packs file, each in a working folder of its own."""
    root = tmp_path_factory.mktemp("lab")
    model = write_model(root / "model")
    untied = write_model(root / "untied", tied=False, family="qwen3")
    packs = write_packs(root / "packs.bin", make_packs(400))

    class Lab:
        def __init__(self):
            self.root, self.model, self.untied, self.packs = root, model, untied, packs

        def job(self, name: str, **changes) -> dict:
            start = changes.pop("model", model)
            return job_value(start, packs, root / "work" / name, **changes)

    return Lab()
