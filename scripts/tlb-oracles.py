#!/usr/bin/env python3
"""Compares `fragsim tlb` with independent simulators on the same accesses, as a Markdown table.

Usage: scripts/tlb-oracles.py [--fragsim PATH] [--output FILE]

Oracles: cachegrind with lines of 4096 bytes (Debian: apt-get install valgrind), pycachesim and libcachesim (PyPI; put
into a virtual environment of their own). What cannot be had is skipped with a message. Exit code 1 if counts differ.
"""
import argparse, json, os, pathlib, random, re, shutil, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = 4096


def core(structures):
    """A core with LRU structures that hold pages of 4K: (name, level, entries, ways)."""
    sizes = ["4K", "2M", "1G"]
    made = [dict(name=n, level=l, entries=e, ways=w, pages=sizes, serves=s) for n, l, e, w, s in structures]
    return dict(name="oracle", structures=made)


DATA, ALL = ["load", "store"], ["load", "store", "fetch"]


def fragsim(args, cpu, lines, work):
    (work / "cpu.json").write_text(json.dumps(cpu))
    (work / "list.txt").write_text("".join(line + "\n" for line in lines))
    command = [args.fragsim, "tlb", "--cpu", str(work / "cpu.json"), "--accesses", str(work / "list.txt"), "--format", "json"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return {s["name"]: (s["hits"], s["misses"]) for s in report["structures"]}, report


def skewed_pages(seed, count, pages):
    draw = random.Random(seed)
    return [int(pages * draw.random() * draw.random() * draw.random()) for _ in range(count)]


def against_cachegrind(args, work, rows):
    if not (shutil.which("valgrind") and shutil.which("cc")):
        return print("skipped: cachegrind needs valgrind and cc", file=sys.stderr)
    program = work / "references"
    subprocess.run(["cc", "-O1", "-static", "-o", program, ROOT / "scripts/tlb-references.c"], check=True)
    run = ["setarch", "-R", "valgrind", "--log-file=" + str(work / "log")]
    count = "60000"
    subprocess.run(run + ["--tool=lackey", "--trace-mem=yes", program, count], check=True)
    lines = []
    for line in open(work / "log"):
        found = re.match(r"([I ])\s*([ILSM])?\s+([0-9a-f]+),(\d+)$", line)
        if not found:
            continue
        kind = "I" if found[1] == "I" else found[2]
        first, size = int(found[3], 16), int(found[4])
        # A reference that crosses a page counts as one, and as missed if either page is; here each page counts.
        marker = {"I": "x", "L": "r", "M": "r", "S": "w"}[kind]
        lines.append(f"{first:#x} {marker}")
        if first // PAGE != (first + size - 1) // PAGE:
            lines.append(f"{first + size - 1:#x} {marker}")
    options = ["--tool=cachegrind", "--cache-sim=yes", "--cachegrind-out-file=" + str(work / "out")]
    sizes = ["--I1=262144,8,4096", "--D1=262144,4,4096", "--LL=6291456,12,4096"]
    subprocess.run(run + options + sizes + [program, count], check=True)
    out = (work / "out").read_text()
    events = dict(zip(re.search(r"^events: (.*)$", out, re.M)[1].split(), map(int, re.search(r"^summary: (.*)$", out, re.M)[1].split())))
    cpu = core([("I1", 1, 64, 8, ["fetch"]), ("D1", 1, 64, 4, DATA), ("LL", 2, 1536, 12, ALL)])
    structures, report = fragsim(args, cpu, lines, work)
    ours = {"I1 misses": structures["I1"][1], "D1 misses": structures["D1"][1], "LL misses": structures["LL"][1]}
    theirs = {
        "I1 misses": events["I1mr"],
        "D1 misses": events["D1mr"] + events["D1mw"],
        "LL misses": events["ILmr"] + events["DLmr"] + events["DLmw"],
    }
    for what in ours:
        rows.append(("cachegrind", f"{report['accesses']} references of a C program, {what}", theirs[what], ours[what]))


def pip_install(work, package, module):
    """A Python that has the package, or None."""
    venv = work / "venv"
    python = venv / "bin/python"
    try:
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True)
        subprocess.run([python, "-m", "pip", "install", "-q", package], check=True, capture_output=True)
        subprocess.run([python, "-c", f"import {module}"], check=True, capture_output=True)
        return python
    except (subprocess.CalledProcessError, OSError):
        print(f"skipped: {package} cannot be installed from PyPI", file=sys.stderr)
        return None


PYCACHESIM = """
import json, sys
from cachesim import CacheSimulator, Cache, MainMemory
shape, pages = json.load(sys.stdin)
memory = MainMemory()
l2 = Cache("L2", shape[1][0] // shape[1][1], shape[1][1], 4096, "LRU")
l1 = Cache("L1", shape[0][0] // shape[0][1], shape[0][1], 4096, "LRU", store_to=l2, load_from=l2)
memory.load_to(l2); memory.store_from(l2)
simulator = CacheSimulator(l1, memory)
for page in pages:
    simulator.load(page * 4096, length=1)
stats = {s["name"]: (s["HIT_count"], s["MISS_count"]) for s in simulator.stats()}
print(json.dumps([stats["L1"], stats["L2"]]))
"""


def against_pycachesim(args, work, rows):
    python = pip_install(work, "pycachesim==0.3.1", "cachesim")
    if python is None:
        return
    for seed, shape, pages in [(1, [(64, 4), (1536, 12)], 20000), (2, [(16, 16), (1024, 8)], 3000), (3, [(64, 8), (512, 4)], 900)]:
        accesses = skewed_pages(seed, 100000, pages)
        run = subprocess.run([python, "-c", PYCACHESIM], input=json.dumps([shape, accesses]), check=True, capture_output=True, text=True)
        theirs = json.loads(run.stdout)
        (e1, w1), (e2, w2) = shape
        cpu = core([("L1", 1, e1, w1, ALL), ("L2", 2, e2, w2, ALL)])
        structures, _ = fragsim(args, cpu, [hex(page * PAGE) for page in accesses], work)
        for level, name in enumerate(["L1", "L2"]):
            for at, what in enumerate(["hits", "misses"]):
                rows.append(("pycachesim 0.3.1", f"{e1}x{w1} and {e2}x{w2}, {pages} pages, {name} {what}", theirs[level][at], structures[name][at]))


LIBCACHESIM = """
import json, sys
import libcachesim as lcs
entries, pages = json.load(sys.stdin)
cache = lcs.LRU(cache_size=entries)
misses = 0
for page in pages:
    request = lcs.Request(); request.obj_id = page + 1; request.obj_size = 1
    misses += not cache.get(request)
print(misses)
"""


def against_libcachesim(args, work, rows):
    python = pip_install(work, "libcachesim==0.3.5", "libcachesim")
    if python is None:
        return
    for seed, entries, pages in [(4, 64, 2000), (5, 96, 300), (6, 1536, 20000)]:
        accesses = skewed_pages(seed, 100000, pages)
        run = subprocess.run([python, "-c", LIBCACHESIM], input=json.dumps([entries, accesses]), capture_output=True, text=True)
        if run.returncode:
            return print("skipped: libcachesim does not run here: " + run.stderr.strip()[-200:], file=sys.stderr)
        cpu = core([("L1", 1, entries, "full", ALL)])
        structures, _ = fragsim(args, cpu, [hex(page * PAGE) for page in accesses], work)
        rows.append(("libcachesim 0.3.5", f"{entries} entries, full, {pages} pages, misses", int(run.stdout), structures["L1"][1]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fragsim", default=str(ROOT / "target/release/fragsim"))
    parser.add_argument("--output", help="a file to write the table to as well")
    args = parser.parse_args()
    if not os.access(args.fragsim, os.X_OK):
        sys.exit(f"there is no program {args.fragsim}; run `cargo build --release` or name one with --fragsim")
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for oracle in (against_cachegrind, against_pycachesim, against_libcachesim):
            oracle(args, pathlib.Path(work), rows)
    text = "# The TLB simulation beside independent simulators\n\nMade by `scripts/tlb-oracles.py`; all of them LRU, one page size.\n\n"
    text += "| oracle | what | oracle | fragsim | equal |\n|---|---|--:|--:|---|\n"
    for oracle, what, theirs, ours in rows:
        text += f"| {oracle} | {what} | {theirs} | {ours} | {'yes' if theirs == ours else f'{ours - theirs:+}'} |\n"
    if args.output:
        pathlib.Path(args.output).write_text(text)
    sys.stdout.write(text)
    sys.exit(0 if all(theirs == ours for _, _, theirs, ours in rows) else 1)


if __name__ == "__main__":
    main()
