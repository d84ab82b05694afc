"""Counts the instructions of each kernel on the portable path, and compares them with a list kept from before.

    apt-get install valgrind
    cargo build --release -p fontes-model --example kernel_speed
    python benches/instructions.py target/release/examples/kernel_speed --baseline benches/instructions.tsv
    python benches/instructions.py target/release/examples/kernel_speed > benches/instructions.tsv

Instructions do not depend on what else the machine does, so that a change of one per cent shows. One call is the difference
between a run with three calls and one with one; what is prepared before does not count. Exit 1 when a kernel takes more than
`--slack` more than in the list. Counts change with the compiler: the list says which one it was made with.
"""

import argparse
import re
import subprocess
import sys

KERNELS = """q4_k-1 q4_k-4 q4_k-256 q6_k-1 q6_k-256 q8_0-1 q8_0-256 q4_0-1 q4_0-256
    attend-1 attend-256 int8-256 attend-within xielu norm-rotate""".split()


def count(program, kernel, calls):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, "portable", "1", kernel, str(calls)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="the kernel_speed binary")
    parser.add_argument("--baseline", help="a list written before")
    parser.add_argument("--slack", type=float, default=0.02, help="share that a kernel may take more")
    arguments = parser.parse_args()
    before = {}
    if arguments.baseline:
        lines = [line.split("\t") for line in open(arguments.baseline) if not line.startswith("#")]
        before = {kernel: int(instructions) for kernel, instructions in lines}
    compiler = subprocess.run(["rustc", "--version"], capture_output=True, text=True).stdout.strip()
    print(f"# instructions of one call, portable path, release build, {compiler}")
    slower = []
    for kernel in KERNELS:
        instructions = (count(arguments.program, kernel, 3) - count(arguments.program, kernel, 1)) // 2
        change = f"\t{instructions / before[kernel] - 1:+.2%}" if kernel in before else ""
        print(f"{kernel}\t{instructions}{change}", flush=True)
        if kernel in before and instructions > before[kernel] * (1 + arguments.slack):
            slower.append(kernel)
    if slower:
        sys.exit(f"more instructions than before: {', '.join(slower)}")


if __name__ == "__main__":
    main()
