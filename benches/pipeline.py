#!/usr/bin/env python3
"""Ingestion end to end beside a pipeline of common Python parts doing the same work in the same run.

  pipeline.py corpus OUT --documents DIR --beir DIR… [--each N]   makes a folder of mixed files
  pipeline.py run FOLDER --fontes BINARY --model DIR --onnx FILE [--runs N] [--threads N]

The peer reads PDF with pypdfium2, DOCX with python-docx, HTML with BeautifulSoup, mail with the standard library,
cuts at sentences into chunks of at most 256 tokens with 32 of overlap (as our default profile), embeds with the same
model on ONNX Runtime (int8, texts of like length together, exported by onnxruntime.py) and stores vectors in Qdrant's
local mode. It has no word index, no ledger, no sandbox, no resume: it does less. Both run as processes of their own,
from start to exit; memory is the highest sum of resident sizes over the process and its children, sampled.
Needs: pypdfium2 python-docx beautifulsoup4 onnxruntime tokenizers numpy qdrant-client.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

# A file beside this one is called as a package is.
sys.path = [path for path in sys.path if pathlib.Path(path or ".").resolve() != pathlib.Path(__file__).resolve().parent]

KINDS = {".pdf", ".docx", ".html", ".md", ".txt", ".eml"}
MAX_TOKENS, OVERLAP = 256, 32
SENTENCE = re.compile(r"(?<=[.!?…])\s+|\n+")


def corpus(args):
    """Real files of the kinds both sides read, and passages of public sets as text, Markdown and HTML."""
    out = pathlib.Path(args.out)
    count = 0
    for path in sorted(pathlib.Path(args.documents).rglob("*")):
        if path.suffix in KINDS and path.is_file():
            target = out / "documents" / f"{count:04}{path.suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            count += 1
    for folder in args.beir:
        lines = (pathlib.Path(folder) / "corpus.jsonl").read_text().splitlines()
        for number, line in enumerate(lines[: args.each]):
            item = json.loads(line)
            title, text = item.get("title") or f"Nr. {number}", item["text"]
            suffix, content = [
                (".txt", f"{title}\n\n{text}\n"),
                (".md", f"# {title}\n\n{text}\n"),
                (".html", f"<!doctype html><title>{title}</title><h1>{title}</h1><p>{text}</p>"),
            ][number % 3]
            target = out / pathlib.Path(folder).name / f"{number:05}{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
            count += 1
    print(f"{count} files in {out}")


def read(path):
    """The text of one file, or nothing when it cannot be read."""
    kind = path.suffix
    if kind == ".pdf":
        import pypdfium2

        document = pypdfium2.PdfDocument(path)
        return "\n".join(page.get_textpage().get_text_bounded() for page in document)
    if kind == ".docx":
        import docx

        document = docx.Document(str(path))
        rows = ["\t".join(cell.text for cell in row.cells) for table in document.tables for row in table.rows]
        return "\n".join([paragraph.text for paragraph in document.paragraphs] + rows)
    if kind == ".html":
        import bs4

        return bs4.BeautifulSoup(path.read_bytes(), "html.parser").get_text("\n")
    if kind == ".eml":
        import email
        import email.policy

        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        body = message.get_body(("plain", "html"))
        return f"{message['subject'] or ''}\n{body.get_content() if body else ''}"
    return path.read_text(errors="replace")


def cut(text, tokenizer):
    """Whole sentences up to the limit; a chunk begins with the last sentences of the one before."""
    chunk, size, chunks = [], 0, []
    for sentence in filter(str.strip, SENTENCE.split(text)):
        ids = tokenizer.encode(sentence, add_special_tokens=False).ids
        for part in range(0, len(ids), MAX_TOKENS):
            piece = sentence if len(ids) <= MAX_TOKENS else tokenizer.decode(ids[part : part + MAX_TOKENS])
            length = min(len(ids) - part, MAX_TOKENS)
            if size + length > MAX_TOKENS and chunk:
                chunks.append(" ".join(text for text, _ in chunk))
                kept, room = [], OVERLAP
                for one in reversed(chunk):
                    if one[1] > room:
                        break
                    kept.insert(0, one)
                    room -= one[1]
                chunk, size = kept, sum(length for _, length in kept)
                if size + length > MAX_TOKENS:
                    chunk, size = [], 0
            chunk.append((piece, length))
            size += length
    if chunk:
        chunks.append(" ".join(text for text, _ in chunk))
    return chunks


def peer(args):
    """The peer pipeline; prints its counts."""
    import numpy
    import onnxruntime
    import qdrant_client
    import tokenizers
    from qdrant_client import models

    tokenizer = tokenizers.Tokenizer.from_file(str(pathlib.Path(args.model) / "tokenizer.json"))
    tokenizer.no_truncation(), tokenizer.no_padding()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(args.onnx, options, providers=["CPUExecutionProvider"])
    inputs = {value.name for value in session.get_inputs()}
    client = qdrant_client.QdrantClient(path=args.store)
    client.create_collection("peer", models.VectorParams(size=384, distance=models.Distance.COSINE))
    counts = {"files": 0, "failed": 0, "chunks": 0, "tokens": 0}
    waiting = []

    def embed(texts):
        encoded = [tokenizer.encode("passage: " + text).ids[:512] for text in texts]
        counts["tokens"] += sum(map(len, encoded))
        longest = max(map(len, encoded))
        ids = numpy.ones((len(encoded), longest), numpy.int64)
        mask = numpy.zeros((len(encoded), longest), numpy.int64)
        for row, tokens in enumerate(encoded):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        feed = {"input_ids": ids, "attention_mask": mask}
        if "token_type_ids" in inputs:
            feed["token_type_ids"] = numpy.zeros_like(ids)
        if "position_ids" in inputs:
            feed["position_ids"] = numpy.broadcast_to(numpy.arange(longest), ids.shape)
        hidden = session.run(None, feed)[0]
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return pooled / numpy.linalg.norm(pooled, axis=1, keepdims=True)

    def store():
        waiting.sort(key=lambda item: len(item[1]))
        for start in range(0, len(waiting), 32):
            batch = waiting[start : start + 32]
            vectors = embed([text for _, text in batch])
            points = [
                models.PointStruct(id=counts["chunks"] + n, vector=vector.tolist(), payload={"path": path, "text": text})
                for n, ((path, text), vector) in enumerate(zip(batch, vectors))
            ]
            client.upsert("peer", points)
            counts["chunks"] += len(batch)
        waiting.clear()

    for path in sorted(pathlib.Path(args.folder).rglob("*")):
        if path.suffix not in KINDS:
            continue
        counts["files"] += 1
        try:
            text = read(path)
        except Exception:  # a pipeline that is to end passes over what its libraries refuse
            counts["failed"] += 1
            continue
        waiting.extend((str(path), chunk) for chunk in cut(text, tokenizer))
        if len(waiting) >= 512:
            store()
    store()
    client.close()
    print(json.dumps(counts))


def children(pid):
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [one for child in task.read_text().split() for one in children(int(child))]
        except OSError:
            pass
    return found


def resident(pid):
    total = 0
    for one in children(pid):
        try:
            total += int(pathlib.Path(f"/proc/{one}/statm").read_text().split()[1])
        except (OSError, IndexError):
            pass
    return total * os.sysconf("SC_PAGE_SIZE")


def measured(command):
    """Runs a command; its last line of output, the seconds it took, and its highest resident size in bytes."""
    begin, peak = time.time(), 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(0.05)
        output = process.stdout.read()
    seconds = time.time() - begin
    if process.returncode not in (0, 3):
        sys.exit(f"{command[0]} ended with {process.returncode}")
    return json.loads(output.splitlines()[-1]), seconds, peak


def run(args):
    rows = []
    for _ in range(args.runs):
        with tempfile.TemporaryDirectory() as store:
            ours = measured([args.fontes, "--data-dir", store, "ingest", args.folder, "--json", "--quiet"])
        with tempfile.TemporaryDirectory() as store:
            theirs = measured([sys.executable, __file__, "peer", args.folder, "--model", args.model, "--onnx", args.onnx,
                               "--store", store, "--threads", str(args.threads)])
        rows.append((ours, theirs))
        for name, (counts, seconds, peak) in (("fontes", ours), ("peer", theirs)):
            known = {key: counts[key] for key in ("files_seen", "files", "failed", "quarantined", "pages", "chunks", "tokens")
                     if key in counts}
            print(f"{name}: {seconds:.1f} s, {peak / 1e6:.0f} MB, {known}")
            if "stages" in counts:
                print("  stages:", {key: round(value, 2) for key, value in counts["stages"].items()})
        speed = theirs[1] / ours[1]
        # Chunks differ a little in number; work per token is what is compared.
        per_token = (ours[0]["tokens"] / ours[1]) / (theirs[0]["tokens"] / theirs[1])
        print(f"ratio: speed {speed:.2f} (per token {per_token:.2f}), memory {ours[2] / theirs[2]:.2f}")
    best = max(theirs[1] / ours[1] for ours, theirs in rows)
    print(f"best of {args.runs}: {best:.2f} times the speed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("corpus")
    make.add_argument("out")
    make.add_argument("--documents", required=True)
    make.add_argument("--beir", nargs="+", default=[])
    make.add_argument("--each", type=int, default=250)
    make.set_defaults(do=corpus)
    for name, do in (("run", run), ("peer", peer)):
        command = commands.add_parser(name)
        command.add_argument("folder")
        command.add_argument("--model", required=True, help="folder with tokenizer.json")
        command.add_argument("--onnx", required=True)
        command.add_argument("--threads", type=int, default=os.cpu_count())
        command.add_argument("--fontes", default="target/release/fontes")
        command.add_argument("--runs", type=int, default=1)
        command.add_argument("--store")
        command.set_defaults(do=do)
    args = parser.parse_args()
    args.do(args)


if __name__ == "__main__":
    main()
