"""Writes languages.txt.gz and punkt.txt.gz beside it (or into the folder given) from langdetect and NLTK's English Punkt.

Needs the environment of test/parity (langdetect, and llama-index-core, which carries NLTK's punkt_tab data).
"""

import gzip
import json
import sys
from importlib.util import find_spec
from pathlib import Path

from langdetect.detector_factory import PROFILES_DIRECTORY
from langdetect.utils.ngram import NGram


def package_folder(name: str) -> Path:
    """Where a package lies; it is not imported."""
    return Path(find_spec(name).submodule_search_locations[0])


PUNKT = package_folder("llama_index") / "core/_static/nltk_cache/tokenizers/punkt_tab/english"


def languages() -> str:
    """Header lines (languages, their n-gram totals by length, normalised characters), then an n-gram a line with counts."""
    profiles = [json.loads(path.read_text("utf-8")) for path in sorted(Path(PROFILES_DIRECTORY).iterdir())]
    counts = {}
    for i, profile in enumerate(profiles):
        for ngram, count in profile["freq"].items():
            if not (1 <= len(ngram) <= 3 and "\n" not in ngram and "\t" not in ngram):
                raise ValueError(f"{profile['name']} has an n-gram that the format cannot hold: {ngram!r}")
            counts.setdefault(ngram, []).append(f"{i}:{count}")
    same = {}
    for character, representative in NGram.CJK_MAP.items():
        same.setdefault(representative, []).append(character)
    lines = [
        " ".join(profile["name"] for profile in profiles),
        *(" ".join(str(profile["n_words"][n]) for profile in profiles) for n in range(3)),
        " ".join(first + "".join(members) for first, members in sorted(same.items())),
        " ".join([NGram.TO_NORMALIZE_VI_CHARS, NGram.DMARK_CLASS, *NGram.NORMALIZED_VI_CHARS]),
        *(f"{ngram}\t{' '.join(counts[ngram])}" for ngram in sorted(counts)),
    ]
    return "\n".join(lines)


def punkt() -> str:
    """Three lines of words (abbreviations, collocations, sentence starters), then a word a line with its contexts."""
    read = lambda name: sorted((PUNKT / name).read_text("utf-8").rstrip("\n").split("\n"))
    pairs = [line.replace("\t", "|") for line in read("collocations.tab")]
    words = [read("abbrev_types.txt"), pairs, read("sent_starters.txt")]
    return "\n".join([*(" ".join(line) for line in words), *read("ortho_context.tab")])


def main(folder: Path) -> None:
    for name, text in (("languages", languages()), ("punkt", punkt())):
        (folder / f"{name}.txt.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
