"""`scripts/bench-documents`: how well and how fast tools of the kind `documents` find answers.

Recall at 5 is the share of questions with a right passage among the first five.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.knowledge import public_set
from tests.knowledge.public_set import LANGUAGES, Question, answers

from kioskd.tools.kinds.documents import folder
from kioskd.tools.kinds.documents.index import DocumentIndex
from kioskd.tools.kinds.documents.reader import DocumentReader

MOST: Final = 5
INDEX_BYTES: Final = 500_000_000


def read_all(documents: Path, place: Path) -> tuple[DocumentIndex, dict[str, Any]]:
    """Index a folder by the reader process, and return the index with its figures."""
    index = DocumentIndex(place, "bench", INDEX_BYTES)
    index.open()
    reader = DocumentReader(most_mb=50, cpu_s=600)
    faults: dict[str, str] = {}
    began = time.monotonic()
    for name, document in folder.documents(documents, ()).items():
        try:
            index.replace(name, document.state, reader.read(document.path, document.state))
        except Exception as error:  # noqa: BLE001 - each is a figure
            faults[name] = f"{type(error).__name__}: {error}"
    took_s = time.monotonic() - began
    reader.close()
    counts = index.counts()
    index.close()
    figures = {
        "documents": counts.documents,
        "passages": counts.passages,
        "took_s": round(took_s, 1),
        "index_mb": round(place.stat().st_size / 1e6, 1),
        "faults": faults,
    }
    return index, figures


def recall(index: DocumentIndex, asked: Sequence[Question]) -> dict[str, Any]:
    """Ask all questions, and return the recall by language, and the times."""
    right: dict[str, list[int]] = {language: [] for language in LANGUAGES}
    times: list[float] = []
    cpu_began = time.thread_time()
    for question in asked:
        began = time.perf_counter()
        hits = index.search(question.text, MOST)
        times.append(1000 * (time.perf_counter() - began))
        ranks = [rank for rank, hit in enumerate(hits, 1) if answers(question, hit.document, hit.text)]
        right[question.language].append(ranks[0] if ranks else 0)
    cpu_s = time.thread_time() - cpu_began
    every = [rank for ranks in right.values() for rank in ranks]
    times.sort()
    return {
        "questions": len(every),
        "recall_at_5": share(every),
        "recall_at_1": round(sum(rank == 1 for rank in every) / len(every), 3),
        "languages": {language: share(ranks) for language, ranks in right.items()},
        "median_ms": round(statistics.median(times), 1),
        "cpu_ms": round(1000 * cpu_s / len(asked), 1),
        "p99_ms": round(times[int(0.99 * (len(times) - 1))], 1),
        "foreign_without_results": sum(not index.search(text, MOST) for text in public_set.FOREIGN),
        "foreign": len(public_set.FOREIGN),
    }


def share(ranks: Sequence[int]) -> float:
    """Return the share of questions with a right passage."""
    return round(sum(rank > 0 for rank in ranks) / len(ranks), 3) if ranks else 0.0


def measure(cache: Path) -> dict[str, Any]:
    """Return all figures."""
    share_folder = public_set.fetch(cache)
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as own:
        work = Path(own)
        public_set.books(share_folder, work / "books")
        public_set.faq_books(share_folder, work / "books")
        _, report["books"] = read_all(work / "books", work / "books.sqlite")
        report["books"]["pages"] = pages(work / "books")
        for name in ("without_headings", "with_headings"):
            public_set.books(share_folder, work / name)
            asked = public_set.questions(share_folder, work / name, headings=name == "with_headings")
            index, figures = read_all(work / name, work / f"{name}.sqlite")
            report[name] = figures | recall(index, asked)
    return report


def pages(books: Path) -> int:
    """Return the number of pages of PDF files."""
    import pypdfium2  # noqa: PLC0415 - the tests of the bench do without

    return sum(len(pypdfium2.PdfDocument(path)) for path in books.glob("*.pdf"))


def lines(report: Mapping[str, Any]) -> list[str]:
    """Return the report for people."""
    books = report["books"]
    told = [f"{books['pages']} pages of PDF: {books['took_s']} s, index {books['index_mb']} MB"]
    for name in ("without_headings", "with_headings"):
        one = report[name]
        languages = ", ".join(f"{language} {value:.0%}" for language, value in one["languages"].items())
        told += [
            f"{name.replace('_', ' ')}: {one['questions']} questions, {one['passages']} passages",
            f"  recall at 5: {one['recall_at_5']:.1%} ({languages}); at 1: {one['recall_at_1']:.1%}",
            f"  time: median {one['median_ms']} ms, 99 of 100 within {one['p99_ms']} ms",
            f"  processor time: mean {one['cpu_ms']} ms",
            f"  foreign questions with no results: {one['foreign_without_results']} of {one['foreign']}",
        ]
    return told + [f"left out: {name}: {why}" for name, why in books["faults"].items()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return 0, for any figures."""
    parser = argparse.ArgumentParser(prog="scripts/bench-documents", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument(
        "--cache", type=Path, default=Path("out/bench-documents"), help="folder for Debian's documents"
    )
    options = parser.parse_args(arguments)
    report = measure(options.cache)
    sys.stdout.write((json.dumps(report, indent=2) if options.json else "\n".join(lines(report))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
