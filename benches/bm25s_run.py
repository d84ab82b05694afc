"""Ranks a BEIR folder with bm25s (Lucene's BM25, Snowball stems, stop words) and writes a TREC run.

    python benches/bm25s_run.py xquad-de --language german > bm25s.run
    fontes eval retrieval xquad-de --half odd --run bm25s.run

Needs bm25s and PyStemmer. The peer of our words alone: whole documents, title and text in one field.
"""

import argparse
import json
import pathlib
import sys

import bm25s
import Stemmer

STOP_WORDS = {"english": "en", "german": "de", "french": "fr", "italian": "it", "spanish": "es"}


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--language", choices=sorted(STOP_WORDS), default="english")
    parser.add_argument("--k1", type=float, default=1.2)
    parser.add_argument("--b", type=float, default=0.75)
    options = parser.parse_args()

    documents, queries = lines(options.folder / "corpus.jsonl"), lines(options.folder / "queries.jsonl")
    analysis = {
        "stopwords": STOP_WORDS[options.language],
        "stemmer": Stemmer.Stemmer(options.language),
        "show_progress": False,
    }
    texts = [f"{document.get('title', '')} {document['text']}".strip() for document in documents]
    ranker = bm25s.BM25(method="lucene", k1=options.k1, b=options.b)
    ranker.index(bm25s.tokenize(texts, **analysis), show_progress=False)
    words = bm25s.tokenize([query["text"] for query in queries], **analysis)
    found, scores = ranker.retrieve(words, k=min(100, len(documents)), show_progress=False)
    for query, ids, values in zip(queries, found, scores):
        for rank, (at, score) in enumerate(zip(ids, values), 1):
            print(query["_id"], "Q0", documents[at]["_id"], rank, f"{score:.6f}", "bm25s")


if __name__ == "__main__":
    sys.exit(main())
