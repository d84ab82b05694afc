"""Word accuracy and seconds per page of text recognition on clean 300-dpi pages of known text.

    python benches/ocr_words.py --ours target/release/examples/survey de=xquad-de/corpus.jsonl fr=… [--pages 5]

Draws pages of text (black on white, 11 points, A4 at 300 dpi) from BEIR corpora, one PNG a page, lets `survey`
read them and compares words: accuracy is one minus the edit distance over the number of words. Needs Pillow.
"""
import argparse, json, pathlib, re, statistics, subprocess, tempfile, textwrap

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT, MARGIN, SIZE, LEADING = 2480, 3508, 280, 46, 66


def distance(a, b):
    """Words inserted, removed and exchanged between two lists."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]


def pages(corpus, count, font):
    """Pages of wrapped paragraphs and the words on them."""
    texts = (json.loads(line)["text"] for line in open(corpus, encoding="utf-8"))
    made = []
    lines = []
    for text in texts:
        lines += textwrap.wrap(" ".join(text.split()), 84) + [""]
        if len(lines) * LEADING > HEIGHT - 2 * MARGIN:
            page = lines[: (HEIGHT - 2 * MARGIN) // LEADING]
            image = Image.new("L", (WIDTH, HEIGHT), 255)
            draw = ImageDraw.Draw(image)
            for number, line in enumerate(page):
                draw.text((MARGIN, MARGIN + number * LEADING), line, font=font, fill=0)
            made.append((image, " ".join(page).split()))
            lines = []
            if len(made) == count:
                break
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", help="language=corpus.jsonl")
    parser.add_argument("--ours", required=True)
    parser.add_argument("--pages", type=int, default=5)
    parser.add_argument("--font", default="/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf")
    arguments = parser.parse_args()
    font = ImageFont.truetype(arguments.font, SIZE)
    for item in arguments.corpora:
        language, corpus = item.split("=", 1)
        with tempfile.TemporaryDirectory() as folder:
            truth = {}
            for number, (image, words) in enumerate(pages(corpus, arguments.pages, font)):
                path = pathlib.Path(folder) / f"{number}.png"
                image.save(path, dpi=(300, 300))
                truth[str(path)] = words
            output = subprocess.run([arguments.ours, folder, "--json"], capture_output=True).stdout.decode()
            accuracy, seconds, sure = [], [], []
            for line in output.splitlines():
                record = json.loads(line)
                words = truth[record["path"]]
                page = record["pages"][0] if record["pages"] else {"text": "", "confidence": 0}
                accuracy.append(1 - distance(words, page["text"].split()) / len(words))
                seconds.append(record["seconds"])
                sure.append(page["confidence"] or 0)
        print(f"{language}: {len(accuracy)} pages, word accuracy {statistics.mean(accuracy):.4f} (lowest "
              f"{min(accuracy):.4f}), confidence {statistics.mean(sure):.2f}, {statistics.mean(seconds):.1f} s a page")


main()
