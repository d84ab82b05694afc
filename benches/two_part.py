"""Makes a set of questions that ask two things out of a set of questions that ask one (layout of BEIR).

    python benches/two_part.py ./xquad-de ./two --joint und              # ./two/xquad-de, every second question of it
    python benches/two_part.py ./xquad-mixed ./two --joint and --prefix en- --name xquad-en
    fontes eval retrieval ./two/xquad-de --json                          # complete@3, @5, @8: both passages are among the first

A question is two of the set whose passages are of different articles (the second part of a document's id), joined by a word or
put one after the other, in turn. The corpus is the same and the folder has the same name, so `fontes eval` embeds nothing
again. The same set gives the same questions. With --half even those to tune on are made, otherwise those to report on.
With --prefix only documents and questions of one language of a mixed set are taken; --single writes these and joins nothing.
"""

import argparse
import json
import pathlib
import re

# Words that ask, and prepositions before them: written small behind a joint. What else begins a question may be a name.
SMALL = re.compile(
    r"(wer|wen|wem|wessen|was|wann|wo|warum|weshalb|wie|wie\w+|wo\w+|welche\w?|in|im|an|am|auf|aus|bei|bis|durch|für|gegen|mit|nach|seit"
    r"|um|unter|über|von|vor|während|wegen|zu|zum|zur|ab|qui|que|qu|quoi|où|quand|comment|pourquoi|combien|quel\w*|lequel|laquelle|à|au"
    r"|en|dans|de|d|du|par|pour|sur|sous|avec|depuis|vers|selon|est|chi|che|cosa|cos|dove|dov|quando|come|perch[éè]|quant\w|qual\w?|a|ad|da|di|nel"
    r"|nella|con|per|su|who|whom|whose|what|when|where|why|how|which|on|at|by|for|from|to|with|of|is|are|was|were|do|does|did|can)$",
    re.IGNORECASE,
)


def lines(path):
    return [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]


def judged(folder):
    rows = [line.split() for line in open(folder / "qrels" / "test.tsv", encoding="utf-8")]
    relevant = {}
    for question, document, grade in rows[1:]:
        relevant.setdefault(question, []).append((document, int(grade)))
    return relevant


def article(document):
    return document.split("-")[1]


def bare(text):
    return text.strip().rstrip("?").strip()


def join(one, other, joint, sentences):
    if sentences:
        mark = " ?" if joint == "et" else "?"
        return f"{bare(one)}{mark} {bare(other)[0].upper()}{bare(other)[1:]}{mark}"
    first = re.match(r"\w*", bare(other)).group()
    other = bare(other)
    if SMALL.match(first):
        other = other[0].lower() + other[1:]
    return f"{bare(one)} {joint} {other}{' ?' if joint == 'et' else '?'}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("set", type=pathlib.Path)
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--joint", default="und")
    arguments.add_argument("--half", choices=["even", "odd"], default="odd")
    arguments.add_argument("--pairs", type=int, default=120)
    arguments.add_argument("--prefix", default="")
    arguments.add_argument("--name")
    arguments.add_argument("--single", action="store_true")
    given = arguments.parse_args()
    relevant = judged(given.set)
    corpus = [line for line in lines(given.set / "corpus.jsonl") if line["_id"].startswith(given.prefix)]
    known = {line["_id"] for line in corpus}
    # A translation of the passage counts for nothing once its language is left out.
    relevant = {one: [row for row in rows if row[0] in known] for one, rows in relevant.items()}
    questions = [line for line in lines(given.set / "queries.jsonl") if line["_id"].startswith(given.prefix)]
    questions = [line for line in questions if relevant.get(line["_id"])]
    half = questions[given.half == "odd" :: 2]
    made, judgements = [], []
    if given.single:
        made = [{"_id": line["_id"], "text": line["text"]} for line in questions]
        judgements = [(line["_id"], *row) for line in questions for row in relevant[line["_id"]]]
    else:
        # Each question of the first part of the half with one further on, of another article.
        step = max(len(half) // (2 * given.pairs), 1)
        for number in range(given.pairs):
            one = half[number * step % len(half)]
            at = number * step + len(half) // 2
            while article(relevant[half[at % len(half)]["_id"]][0][0]) == article(relevant[one["_id"]][0][0]):
                at += 1
            other = half[at % len(half)]
            name = f"{one['_id']}+{other['_id']}"
            made.append({"_id": name, "text": join(one["text"], other["text"], given.joint, number % 2 == 1)})
            judgements += [(name, *row) for part in (one, other) for row in relevant[part["_id"]]]
    folder = given.out / (given.name or given.set.name)
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    put = lambda path, rows: path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    put(folder / "corpus.jsonl", corpus)
    put(folder / "queries.jsonl", made)
    rows = "".join(f"{question}\t{document}\t{grade}\n" for question, document, grade in dict.fromkeys(judgements))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}", encoding="utf-8")
    print(f"{folder}: {len(made)} questions over {len(corpus)} documents")


if __name__ == "__main__":
    main()
