#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench/plot.py JSON PAGE SVG: put what bench/packet measured into a page and a picture.

In the page, what stands between the two BEGIN/END comments is replaced by a table.
"""
import json
import re
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "shunt"  # the same picture has the same text
import matplotlib.pyplot as plt  # noqa: E402

COLOURS = {"never": "#4c78a8", "on-change": "#54a24b", "always": "#e0803c"}
PASSED = "#9a9a9a"
BEGIN, END = "<!-- BEGIN measured -->", "<!-- END measured -->"


def colour(result):
    return PASSED if "other-" in result["case"] else COLOURS.get(result["tracking"], PASSED)


def table(data):
    kernel = ".".join(data["kernel"].split(".")[:2])
    yield f"{data['cpu']}, Linux {kernel}, Shunt {data['version']}."
    yield ""
    yield "| case | ns | least | floor | x floor | goal |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for row in data["results"]:
        goal = ""
        if row["goal"]:
            goal = f"{row['goal']:.1f}" + ("" if row["ratio"] <= row["goal"] else ", missed")
        yield (f"| {row['case']} | {row['ns']:.1f} | {row['ns_min']:.1f} | {row['floor_ns']:.1f} "
               f"| {row['ratio']:.2f} | {goal} |")


def write_page(data, path):
    with open(path, encoding="utf-8") as page:
        text = page.read()
    lines = "\n".join([BEGIN, *table(data), END])
    text, count = re.subn(f"{BEGIN}.*{END}", lambda _: lines, text, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{path}: the two comments that hold the table are not there once")
    with open(path, "w", encoding="utf-8") as page:
        page.write(text)


def draw(data, path):
    rows = data["results"][::-1]
    figure, axes = plt.subplots(figsize=(8, 0.32 * len(rows) + 1.2))
    bars = axes.barh([row["case"] for row in rows], [row["ns"] for row in rows],
                     color=[colour(row) for row in rows])
    axes.bar_label(bars, [f" {row['ns']:.0f}" for row in rows], fontsize=8)
    floor = sorted(row["floor_ns"] for row in rows)[len(rows) // 2]
    axes.axvline(floor, color="black", linewidth=1, linestyle="--")
    axes.set_xlabel(f"nanoseconds a packet; dashed: the floor, {floor:.0f}")
    axes.tick_params(axis="y", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)
    data["results"] = [row for row in data["results"] if not row["program"]]
    write_page(data, sys.argv[2])
    draw(data, sys.argv[3])


if __name__ == "__main__":
    main()
