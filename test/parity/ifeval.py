"""lm-eval's IFEval checkers, NLTK and langdetect on the cases that arrive as JSON on stdin; answers with JSON on stdout.

As a side of a benchmark (with IFEVAL_SIDE set) it reads one JSON line of cases, then scores all of them whenever a line arrives.
"""

import json
import logging
import os
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

# The package carries NLTK's punkt_tab, so that lm-eval does not download it.
PACKAGE = Path(find_spec("llama_index").submodule_search_locations[0])
os.environ["NLTK_DATA"] = str(PACKAGE / "core/_static/nltk_cache")

import nltk  # noqa: E402
from langdetect import DetectorFactory, LangDetectException, detect  # noqa: E402
from lm_eval.tasks.ifeval import instructions_util, utils  # noqa: E402

DetectorFactory.seed = 0
logging.disable(logging.CRITICAL)


def language(text):
    """The language of a text, None where it has no features."""
    try:
        return detect(text)
    except LangDetectException:
        return None


def score(case):
    """Strict and loose verdicts of one case."""
    result = utils.process_results(case, [case["response"]])
    return {"strict": result["inst_level_strict_acc"], "loose": result["inst_level_loose_acc"]}


def pieces(text):
    """What the checkers are made of."""
    return {
        "sentences": instructions_util._get_sentence_tokenizer().tokenize(text),
        "words": nltk.word_tokenize(text),
        "word_count": instructions_util.count_words(text),
        "language": language(text),
    }


def answer():
    request = json.load(sys.stdin)
    json.dump(
        {"verdicts": [score(case) for case in request["cases"]], "pieces": [pieces(t) for t in request["texts"]]},
        sys.stdout,
    )


def side():
    cases = json.loads(sys.stdin.readline())["cases"]
    versions = {name: version(name) for name in ("lm_eval", "nltk", "langdetect")}
    print(json.dumps(versions), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        verdicts = [score(case) for case in cases]
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "work": len(cases), "verdicts": verdicts}), flush=True)


if __name__ == "__main__":
    side() if os.environ.get("IFEVAL_SIDE") else answer()
