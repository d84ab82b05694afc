"""Asks the questions of `questions.jsonl` and counts by kind what comes out, quoting alone.

    python benches/office/archive.py /tmp/office && fontes --data-dir /tmp/office-data ingest /tmp/office
    python benches/office/ask.py target/release/fontes --data-dir /tmp/office-data [--out answers.jsonl]

    fontes --data-dir /tmp/vineyard-data ingest benches/vineyard/archive
    python benches/office/ask.py target/release/fontes --data-dir /tmp/vineyard-data --questions benches/vineyard/questions.jsonl

    fontes --data-dir /tmp/hospital-data ingest benches/hospital/archive
    python benches/office/ask.py target/release/fontes --data-dir /tmp/hospital-data --questions benches/hospital/questions.jsonl

and benches/railway and benches/town likewise.

Right is a quote that holds one of the expected strings; for a question without an answer in the archive, silence. "Also old" are right
answers beside which an outdated value is quoted. The 180 questions were written by someone who had not seen the program; they have been
looked at since while it was changed, so the figures say what was mended and not what to expect elsewhere. The same holds for the 118
questions over a vineyard's archive (26 short files by another writer; those of kind `b2-` and `b3-` were written to fail) and for the
141 over a hospital's pharmacy, wards and technical service (35 short files by a third one, all questions written before the first answer) and
the 130 over a railway's (33 short files by a fourth one, the same) and the 100 over a town's building and social services and library (28 short
files by a fifth one, the same, worded unlike the documents).
"""

import argparse
import collections
import json
import pathlib
import subprocess
import unicodedata


def plain(text):
    text = unicodedata.normalize("NFC", text).replace("’", "'")
    return " ".join(text.split()).lower()


def ask(fontes, data_dir, question):
    command = [fontes, "ask", question["question"], "--model", "none", "--json", "--data-dir", data_dir]
    for earlier in question.get("after", []):
        command += ["--after", earlier]
    return json.loads(subprocess.run(command, capture_output=True, text=True).stdout or "{}")


def verdict(question, quotes):
    holds = lambda strings: any(plain(string) in quote for string in strings for quote in quotes)
    if not question["expected"]:
        return "wrong" if quotes else "right"
    if not quotes:
        return "silent"
    return "right" if holds(question["expected"]) else "wrong"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fontes")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--questions", default=pathlib.Path(__file__).with_name("questions.jsonl"))
    parser.add_argument("--out", help="write each answer on a line")
    arguments = parser.parse_args()
    counts = collections.defaultdict(collections.Counter)
    out = open(arguments.out, "w", encoding="utf-8") if arguments.out else None
    for line in open(arguments.questions, encoding="utf-8"):
        question = json.loads(line)
        answer = ask(arguments.fontes, arguments.data_dir, question)
        citations = [citation for sentence in answer.get("sentences", []) for citation in sentence["citations"]]
        quotes = [plain(citation["quote"]) for citation in citations]
        found = verdict(question, quotes)
        for kind in (question["kind"], "ALL" if question["expected"] else "ALL unanswerable"):
            counts[kind][found] += 1
            old = found == "right" and any(plain(bad) in quote for bad in question.get("bad", []) for quote in quotes)
            counts[kind]["also old"] += old
        if out:
            record = {"question": question, "verdict": found, "confidence": answer.get("confidence"), "quotes": quotes}
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
    columns = ["right", "silent", "wrong", "also old"]
    print(f"{'kind':<18}", *(f"{column:>9}" for column in columns))
    for kind, count in counts.items():
        print(f"{kind:<18}", *(f"{count[column]:>9}" for column in columns))


if __name__ == "__main__":
    main()
