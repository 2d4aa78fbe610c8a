"""The Python end of a side: answers the first line with what `open_side` says, and every later line with a turn."""

import json
import os
import sys


def peak_bytes():
    """Highest resident memory of this process so far (VmHWM)."""
    with open("/proc/self/status", encoding="utf8") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def serve(open_side):
    """`open_side(setup)` returns what to say of itself, and a function from a request to a turn."""
    # Libraries print to stdout; the answers have it for themselves.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    turn = None
    for line in sys.stdin:
        if turn is None:
            answer, turn = open_side(json.loads(line))
        else:
            answer = turn(json.loads(line))
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
