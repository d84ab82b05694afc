"""PDF text beside poppler and pdfium: token F1 per page, page counts, places of words.

    python benches/pdf_text.py FOLDER --ours target/release/examples/survey [--engine pdf_extract] [--worst 10]

Needs `pdftotext` (poppler-utils) and `pypdfium2`. The reference of a page is the better of the two: whichever
agrees more with ours (a page that both read differently is no ground truth). Tokens are runs of letters and
digits after NFKC and case folding, single characters in scripts without blanks; hyphenation at line ends is
undone on both sides. Files that neither reads are left out. A page counts when its reference has at least ten
tokens. Places are held against `pdftotext -bbox`: the middle of its word lies in our box of the same word, or
of the word that it is a part of.
"""
import argparse, collections, html, json, pathlib, re, statistics, subprocess, unicodedata

WORD = re.compile(r"[^\W_]+")
WIDE = re.compile(r"([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0e7f])")
BOX = re.compile(r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>')


def tokens(text):
    text = re.sub("[\u00ad\u0002\ufffe]\\s*\n?", "", text)
    text = re.sub(r"(?<=[^\W\d_])[-\u2010]\s*\n\s*(?=[^\W\d_])", "", text)
    text = WIDE.sub(r" \1 ", unicodedata.normalize("NFKC", text).casefold())
    # Arabic vowel signs and the tatweel are drawn, not spelled.
    text = re.sub("[\u0640\u064b-\u065f]", "", text)
    return collections.Counter(WORD.findall(text))


def f1(ours, theirs):
    common = sum((ours & theirs).values())
    total = sum(ours.values()) + sum(theirs.values())
    return 2 * common / total if total else 1.0


def run(*command):
    try:
        return subprocess.run(command, capture_output=True, timeout=60).stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        return ""


def poppler(path):
    return run("pdftotext", "-q", path, "-").split("\f")[:-1]


def pdfium(path):
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
        pages = []
        for page in document:
            pages.append(page.get_textpage().get_text_range(errors="ignore").replace("\r\n", "\n"))
        return pages
    except Exception:
        return []


def boxes(path):
    pages = run("pdftotext", "-q", "-bbox", path, "-").split("<page ")[1:]
    return [[(*map(float, word[:4]), html.unescape(word[4])) for word in BOX.findall(page)] for page in pages]


def placed(ours, theirs):
    """How many of their words have their middle in one of our boxes of the same word, and how many there are."""
    letters = lambda text: "".join(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
    known = [(x0 - 1, y0 - 1, x1 + 1, y1 + 1, letters(text)) for x0, y0, x1, y1, text in ours]
    hits = total = 0
    for x0, y0, x1, y1, text in theirs:
        word = letters(text)
        if not word:
            continue
        total += 1
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        # poppler parts words where the font changes (small capitals, indices): a part of ours counts.
        hits += any(a <= x <= c and b <= y <= d and (word in ours or ours and ours in word) for a, b, c, d, ours in known)
    return hits, total


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--ours", required=True, help="the survey example")
    parser.add_argument("--engine", default="hayro")
    parser.add_argument("--worst", type=int, default=0)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() == ".pdf")
    scores, counts_right, counts_total = [], 0, 0
    hits = total = boxed = words = 0
    outcomes = collections.Counter()
    output = run_survey(arguments)
    for path in paths:
        ours = output.get(str(path), {"code": "missing", "pages": []})
        outcomes[ours["code"]] += 1
        theirs = [poppler(path), pdfium(path)]
        known = max(map(len, theirs))
        if ours["code"] == "ok" and known:
            counts_total += 1
            counts_right += len(ours["pages"]) in [len(pages) for pages in theirs]
        reference_boxes = boxes(path) if ours["code"] == "ok" else []
        for number in range(known):
            references = [tokens(pages[number]) for pages in theirs if number < len(pages)]
            references = [reference for reference in references if sum(reference.values()) >= 10]
            if not references:
                continue
            page = ours["pages"][number] if number < len(ours["pages"]) else {"text": "", "words": []}
            mine = tokens(page["text"])
            score = max(f1(mine, reference) for reference in references)
            agreed = f1(references[0], references[-1])
            scores.append((score, agreed, f"{path.name} p{number + 1} {ours['code']}"))
            if ours["code"] == "ok":
                boxed += sum(min(count, mine[token]) for token, count in tokens(" ".join(w[4] for w in page["words"])).items())
                words += sum(mine.values())
                if number < len(reference_boxes):
                    found, there = placed(page["words"], reference_boxes[number])
                    hits, total = hits + found, total + there
    values = [score for score, _, _ in scores]
    good = sum(value >= 0.97 for value in values)
    print(f"files {len(paths)}: {dict(outcomes)}")
    print(f"page counts right: {counts_right} of {counts_total}")
    print(f"pages with text: {len(values)}; token F1 mean {statistics.mean(values):.4f}; "
          f">= 0.97: {good} ({100 * good / len(values):.1f} %)")
    print(f"words with a box: {100 * boxed / max(words, 1):.2f} %; in the right place: {100 * hits / max(total, 1):.2f} % of {total}")
    for score, agreed, name in sorted(scores)[: arguments.worst]:
        print(f"  {score:.3f}  (poppler against pdfium {agreed:.3f})  {name}")


def run_survey(arguments):
    result = {}
    command = [arguments.ours, str(arguments.folder), "--json", "--engine", arguments.engine]
    lines = subprocess.run(command, capture_output=True).stdout.decode().splitlines()
    for line in lines:
        record = json.loads(line)
        if record["inside"] == "":
            result[record["path"]] = record
    return result


main()
