"""Prints line coverage per crate from an lcov file: `coverage.py LCOV THRESHOLD`. Unit tests' lines do not count."""

import os
import sys
from collections import defaultdict

CRATES = ["launcher/wire", "launcher/init", "launcher", "policy", "proxy", "security"]


def crate_of(path):
    """The crate a file belongs to; None for files outside."""
    return next((crate for crate in CRATES if path.startswith(crate + "/")), None)


def production_lines(path):
    """How many lines of a file come before its unit tests."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.rstrip() == "#[cfg(test)]":
                return number - 1
    return sys.maxsize


def read(lcov):
    """The highest count of each line, by file: a line may be in several programs."""
    lines, name, last = defaultdict(dict), None, 0
    with open(lcov, encoding="utf-8") as file:
        for row in file:
            key, _, value = row.strip().partition(":")
            if key == "SF":
                name = os.path.relpath(value)
                last = production_lines(name) if crate_of(name) else 0
            elif key == "DA":
                number, count = (int(part) for part in value.split(",")[:2])
                if number <= last:
                    lines[name][number] = max(lines[name].get(number, 0), count)
    return lines


def main(lcov, threshold):
    lines = read(lcov)
    totals = defaultdict(lambda: [0, 0])
    for name, counts in lines.items():
        for key in (crate_of(name), "all"):
            totals[key][0] += sum(1 for count in counts.values() if count)
            totals[key][1] += len(counts)
    print("\nfiles below the threshold, least covered first")
    part = {name: sum(map(bool, counts.values())) / len(counts) for name, counts in lines.items() if counts}
    for name in sorted(part, key=part.get):
        if part[name] * 100 < threshold:
            print(f"  {name:<50} {part[name]:7.1%} of {len(lines[name])}")
    print(f"\n{'crate':<16} {'lines':>7} {'covered':>8} {'share':>7}   aim {threshold} %")
    for key in CRATES + ["all"]:
        covered, all_lines = totals[key]
        if all_lines:
            share = covered / all_lines
            print(f"{key:<16} {all_lines:>7} {covered:>8} {share:>7.1%}   {'' if share * 100 >= threshold else 'below'}")
    if not totals["all"][1]:
        sys.exit("coverage.py: no line was counted at all")


main(sys.argv[1], float(sys.argv[2]))
