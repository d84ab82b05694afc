"""Learns the weights of the extractive method (crates/generation/src/estimate.rs) and says what they are worth.

    fontes eval signals ./xquad-de --limit 300 > xquad-de.jsonl     # one file per set
    python benches/extractive_weights.py xquad-de.jsonl piaf-fr.jsonl ... [--held-out other.jsonl] [--l2 3]

Where a reader has a say (config/reader), the sets must be of articles that it was not trained on. Run it once on sets whose questions and documents are in one language, and once on sets where they are not: there are
two regressions. A line is a candidate sentence: its signals, whether it holds a known answer, whether the relevant documents were
gone. Even questions are learnt from, odd ones and held-out files are reported. Every set counts the same, whatever
its size, and so do questions with and without their documents. Needs numpy.
"""

import argparse
import json

import numpy as np


def read(path):
    """Trials: (question number, gone, [(signals, right)])."""
    order, trials = {}, {}
    for line in open(path, encoding="utf-8"):
        row = json.loads(line)
        number = order.setdefault(row["question"], len(order))
        trials.setdefault((number, row["gone"]), []).append((row["signals"], row["right"]))
    return [(number, gone, rows) for (number, gone), rows in sorted(trials.items())]


def matrix(trials, names):
    """Stacked signals, labels and weights: a trial counts once, however many candidates it has."""
    x = np.array([[s[n] for n in names] for _, _, rows in trials for s, _ in rows])
    y = np.array([float(right) for _, _, rows in trials for _, right in rows])
    w = np.array([1.0 / len(rows) for _, _, rows in trials for _ in rows])
    return x, y, w / w.sum()


def learn(x, y, w, l2, rounds=60):
    """Logistic regression by Newton steps; l2 on the weights of standardised signals, none on the bias."""
    mean, std = x.mean(0), x.std(0) + 1e-9
    z = np.hstack([np.ones((len(x), 1)), (x - mean) / std])
    ridge = np.diag([0.0] + [l2] * x.shape[1]) / len(x)
    theta = np.zeros(z.shape[1])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-z @ theta))
        gradient = z.T @ (w * (p - y)) + ridge @ theta
        hessian = (z * (w * p * (1 - p))[:, None]).T @ z + ridge
        theta -= np.linalg.solve(hessian + 1e-9 * np.eye(len(theta)), gradient)
    weights = theta[1:] / std
    return theta[0] - weights @ mean, weights


def report(label, trials, names, bias, weights, thresholds):
    """Coverage, precision and recall of the best sentence, and answers where there are none."""
    there, gone = [], []
    for _, is_gone, rows in trials:
        x = np.array([[s[n] for n in names] for s, _ in rows])
        p = 1 / (1 + np.exp(-(x @ weights + bias)))
        best = int(p.argmax())
        (gone if is_gone else there).append((p[best], rows[best][1], any(right for _, right in rows)))
    print(f"{label}: {len(there)} questions, the answer is among the candidates of {np.mean([a for _, _, a in there]):.3f}")
    for threshold in thresholds:
        answered = [right for p, right, _ in there if p >= threshold]
        false = np.mean([p >= threshold for p, _, _ in gone])
        print(
            f"  {threshold:.2f}  coverage {len(answered) / len(there):.3f}  precision {np.mean(answered or [0]):.3f}"
            f"  recall {sum(answered) / len(there):.3f}  false answers {false:.3f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--held-out", nargs="*", default=[])
    parser.add_argument("--l2", type=float, default=3.0)
    parser.add_argument("--all", action="store_true", help="learn from odd questions, too; then only held-out files tell")
    parser.add_argument("--drop", nargs="*", default=[], help="signals to do without")
    parser.add_argument("--thresholds", type=float, nargs="*", default=[0.2, 0.3, 0.4, 0.5, 0.6])
    arguments = parser.parse_args()
    sets = {path: read(path) for path in arguments.files}
    names = [n for n in next(iter(sets.values()))[0][2][0][0] if n not in [*arguments.drop, "across"]]
    learnt = [matrix([t for t in trials if arguments.all or t[0] % 2 == 0], names) for trials in sets.values()]
    x, y, w = (np.concatenate(parts) for parts in zip(*learnt))
    bias, weights = learn(x, y, w / len(sets), arguments.l2)
    for path, trials in sets.items():
        report(f"{path}, odd questions", [t for t in trials if t[0] % 2], names, bias, weights, arguments.thresholds)
    for path in arguments.held_out:
        report(f"{path}, held out", read(path), names, bias, weights, arguments.thresholds)
    print(f"bias: {bias:.2f}")
    for name, weight in zip(names, weights):
        print(f'("{name}", {weight:.2f}),')


if __name__ == "__main__":
    main()
