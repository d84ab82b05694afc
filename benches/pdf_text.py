"""PDF text beside poppler and pdfium: token F1 per page, page counts, places of words.

    python benches/pdf_text.py FOLDER --ours target/release/examples/survey [--engine pdf_extract] [--worst 10]
        [--cache FILE]

Needs `pdftotext` (poppler-utils) and `pypdfium2`. The reference of a page is the better of the two: whichever agrees
more with ours (a page that both read differently is no ground truth). Tokens are runs of letters and digits after
NFKC and case folding, single characters in scripts without blanks; hyphenation at line ends is undone on both sides.
Every token of the displayed page's content counts, running lines and rotated text too; form fields, comments and what
lies outside the crop box do not. Whether a blank stands before a raised number does not count: the references read
"1.525" for 1.52 with note 5, and "S 2" for S². A page counts when both references have at least ten tokens; those
where they agree with each other, at the same F1 of 0.97, are told apart: only there is the truth known; and not where
both write codes of a font that means something to itself only: pages on which both name every character are told
apart once more. Places are held against `pdftotext -bbox`: the middle of its word lies in our box of the same word,
or of the word that it is a part of.

What differs on pages below 0.97 is sorted by cause: a token that the other side has with other blanks is "parted",
the rest of the reference's is "lost", the rest of ours "added". `--cache` keeps what the references read.
"""
import argparse, collections, html, json, pathlib, re, statistics, subprocess, sys, unicodedata

GOAL = 0.97
WORD = re.compile(r"[^\W_]+")
WIDE = re.compile(r"([\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0e7f])")
BOX = re.compile(r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)">(.*?)</word>')


def words(text):
    text = re.sub("[\u00ad\u0002\ufffe]\\s*\n?", "", text)
    text = re.sub(r"(?<=[^\W\d_])[-\u2010]\s*\n\s*(?=[^\W\d_])", "", text)
    text = WIDE.sub(r" \1 ", unicodedata.normalize("NFKC", text).casefold())
    # Arabic vowel signs and the tatweel are drawn, not spelled.
    text = re.sub("[\u0640\u064b-\u065f]", "", text)
    return WORD.findall(text)


# Control and private characters; pdfium writes U+0002 for a hyphen at a line end.
UNNAMED = re.compile("[\x01\x03-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd]")


RAISED = "\u2070\u00b9\u00b2\u00b3\u2074-\u2079"


def readings(text):
    """Our words, with raised numbers as we write them, all joined to the word before them, and all apart."""
    joined = re.sub(rf"(?<=\S)\s+(?=[{RAISED}])", "", text)
    return [words(text), words(joined), words(re.sub(rf"([{RAISED}]+)", r" \1 ", text))]


def f1(ours, theirs):
    ours, theirs = collections.Counter(ours), collections.Counter(theirs)
    common = sum((ours & theirs).values())
    total = sum(ours.values()) + sum(theirs.values())
    return 2 * common / total if total else 1.0


def causes(ours, theirs):
    """Tokens parted otherwise, lost and added."""
    lost = collections.Counter(theirs) - collections.Counter(ours)
    added = collections.Counter(ours) - collections.Counter(theirs)
    joined_ours, joined_theirs = "".join(ours), "".join(theirs)
    parted = {token: n for token, n in lost.items() if token in joined_ours}
    parted_ours = {token: n for token, n in added.items() if token in joined_theirs}
    return {"parted": sum(parted.values()) + sum(parted_ours.values()),
            "lost": sum(lost.values()) - sum(parted.values()),
            "added": sum(added.values()) - sum(parted_ours.values())}


def run(*command):
    try:
        return subprocess.run(command, capture_output=True, timeout=60).stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired:
        return ""


def poppler(path):
    return run("pdftotext", "-q", "-cropbox", path, "-").split("\f")[:-1]


# In a process of its own: some files crash pdfium or keep it busy.
PDFIUM = r"""
import pypdfium2, sys
for page in pypdfium2.PdfDocument(sys.argv[1]):
    texts = page.get_textpage()
    cropped = page.get_cropbox() != page.get_mediabox()
    text = texts.get_text_bounded(errors="ignore") if cropped else texts.get_text_range(errors="ignore")
    text = text.replace("\r\n", "\n").replace("\f", "\n")
    sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\f")
"""


def pdfium(path):
    return run(sys.executable, "-c", PDFIUM, path).split("\f")[:-1]


def boxes(path):
    pages = run("pdftotext", "-q", "-cropbox", "-bbox", path, "-").split("<page ")[1:]
    return [[(*map(float, word[:4]), html.unescape(word[4])) for word in BOX.findall(page)] for page in pages]


def placed(ours, theirs):
    """How many of their words have their middle in one of our boxes of the same word, and how many there are."""
    letters = lambda text: "".join(WORD.findall(unicodedata.normalize("NFKC", text).casefold()))
    # By rows of ten points, for pages have a thousand words.
    rows = collections.defaultdict(list)
    for x0, y0, x1, y1, text in ours:
        for row in range(int((y0 - 1) // 10), int((y1 + 1) // 10) + 1):
            rows[row].append((x0 - 1, y0 - 1, x1 + 1, y1 + 1, letters(text)))
    hits = total = 0
    for x0, y0, x1, y1, text in theirs:
        word = letters(text)
        if not word:
            continue
        total += 1
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        # poppler parts words where the font changes (small capitals, indices): a part of ours counts.
        near = rows[int(y // 10)]
        hits += any(a <= x <= c and b <= y <= d and (word in ours or ours and ours in word) for a, b, c, d, ours in near)
    return hits, total


def references(paths, cache):
    """What poppler and pdfium read of each file, by its path."""
    known = json.loads(cache.read_text()) if cache and cache.exists() else {}
    for path in map(str, paths):
        if path not in known:
            known[path] = {"text": [poppler(path), pdfium(path)], "boxes": boxes(path)}
    if cache:
        cache.write_text(json.dumps(known))
    return known


def survey(arguments):
    command = [arguments.ours, str(arguments.folder), "--json", "--no-ocr", "--engine", arguments.engine]
    lines = subprocess.run(command, capture_output=True).stdout.decode().splitlines()
    return {record["path"]: record for record in map(json.loads, lines) if record["inside"] == ""}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--ours", required=True, help="the survey example")
    parser.add_argument("--engine", default="hayro")
    parser.add_argument("--worst", type=int, default=0)
    parser.add_argument("--cache", type=pathlib.Path)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.folder.rglob("*") if path.suffix.lower() == ".pdf")
    theirs, output = references(paths, arguments.cache), survey(arguments)
    pages, outcomes = [], collections.Counter()
    counts_right = counts_total = hits = total = boxed = counted = single = 0
    for path in map(str, paths):
        ours = output.get(path, {"code": "missing", "pages": []})
        outcomes[ours["code"]] += 1
        known = theirs[path]["text"]
        if ours["code"] == "ok" and max(map(len, known)):
            counts_total += 1
            counts_right += len(ours["pages"]) in map(len, known)
        for number in range(max(map(len, known))):
            texts = [words(pages[number]) for pages in known if number < len(pages)]
            if len(texts) < 2 or min(map(len, texts)) < 10:
                single += max(map(len, texts), default=0) >= 10
                continue
            page = ours["pages"][number] if number < len(ours["pages"]) else {"text": "", "words": []}
            score, mine, reference = max((f1(mine, text), mine, text) for mine in readings(page["text"]) for text in texts)
            name = f"{pathlib.Path(path).name} p{number + 1} {ours['code']}"
            named = not any(UNNAMED.search(pages[number]) for pages in known)
            pages.append((score, f1(*texts), name, causes(mine, reference), named))
            if ours["code"] == "ok":
                placed_words = collections.Counter(words(" ".join(word[4] for word in page["words"])))
                boxed += sum((placed_words & collections.Counter(mine)).values())
                counted += len(mine)
                if number < len(theirs[path]["boxes"]):
                    found, there = placed(page["words"], theirs[path]["boxes"][number])
                    hits, total = hits + found, total + there
    report(arguments, outcomes, pages, single)
    print(f"page counts right: {counts_right} of {counts_total}")
    print(f"words with a box: {100 * boxed / max(counted, 1):.2f} %; "
          f"in the right place: {100 * hits / max(total, 1):.2f} % of {total}")


def report(arguments, outcomes, pages, single):
    scores = [score for score, *_ in pages]

    def share(values):
        good = sum(value >= GOAL for value in values)
        return f"{good} ({100 * good / max(len(values), 1):.1f} %)"

    agreed = [score for score, agreed, *_ in pages if agreed >= GOAL]
    named = [score for score, agreed, *_, named in pages if agreed >= GOAL and named]
    print(f"files {sum(outcomes.values())}: {dict(outcomes)}")
    print(f"pages with text: {len(scores)} (and {single} that one reference reads alone); token F1 mean "
          f"{statistics.mean(scores):.4f}; >= {GOAL}: {share(scores)}")
    print(f"pages on which poppler and pdfium agree: {len(agreed)}; mean {statistics.mean(agreed):.4f}; >= {GOAL}: {share(agreed)}")
    print(f"of these, pages on which both name every character: {len(named)}; >= {GOAL}: {share(named)}")
    low = [page for page in pages if page[0] < GOAL]
    chief = collections.Counter(max(cause, key=cause.get) for *_, cause, _ in low)
    print(f"pages below {GOAL}: {len(low)}, chief cause: {dict(chief)}")
    for score, agreed, name, cause, _ in sorted(low, key=lambda page: page[0])[: arguments.worst]:
        print(f"  {score:.3f}  (poppler against pdfium {agreed:.3f})  {cause}  {name}")


main()
