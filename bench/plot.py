#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Put what the benchmarks measured into a page, and into pictures what bench/packet and
bench/proxy/run.py did.

In the page, what stands between two BEGIN/END comments is replaced by the table of that name. Of
benchmarks whose results are not given, the tables stay.
"""
import argparse
import json
import re
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "shunt"  # the same picture has the same text
import matplotlib.pyplot as plt  # noqa: E402

import plot_proxy  # noqa: E402
import plot_relay  # noqa: E402

COLOURS = {"never": "#4c78a8", "on-change": "#54a24b", "always": "#e0803c"}
PASSED = "#9a9a9a"
VETH_NAMES = {"on-change": "Shunt, on-change", "always": "Shunt, always", "never": "Shunt, never",
              "floor": "the floor", "ipvs": "IPVS"}

START_NAMES = {"proxy": "Shunt, the proxy alone", "small": "steering, first start, small tables",
               "cold": "steering, first start", "warm": "steering, started again",
               "nginx": "nginx", "haproxy": "HAProxy"}
MIB = 1 << 20


def colour(result):
    return PASSED if "other-" in result["case"] else COLOURS.get(result["tracking"], PASSED)


def made_on(data):
    kernel = ".".join(data["kernel"].split(".")[:2])
    cpu = data["cpu"][0].upper() + data["cpu"][1:]
    return f"{cpu}, Linux {kernel}, Shunt {data['version']}"


def table(data):
    yield f"{made_on(data)}."
    yield ""
    yield "| case | ns | least | floor | x floor | goal |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for row in data["results"]:
        goal = ""
        if row["goal"]:
            goal = f"{row['goal']:.1f}" + ("" if row["ratio"] <= row["goal"] else ", missed")
        yield (f"| {row['case']} | {row['ns']:.1f} | {row['ns_min']:.1f} | {row['floor_ns']:.1f} "
               f"| {row['ratio']:.2f} | {goal} |")


def veth_table(data):
    """Of bench/veth/run.py: the processor's time for a packet, and how that compares."""
    others = [key for key in ("x_floor", "x_ipvs") if key in data["results"][0]]
    titles = {"x_floor": "x floor", "x_ipvs": "x IPVS"}
    yield f"{made_on(data)}; {data['flows']} flows, {data['backends']} backends."
    yield ""
    yield "".join(f"| {title} " for title in ["", "per second of processor", "per second", "ns",
                                              "least", *(titles[key] for key in others),
                                              "lost"]) + "|"
    yield "| --- |" + " ---: |" * (5 + len(others))
    for row in data["results"]:
        lost = 1 - row["arrived"] / row["sent"]
        yield (f"| {VETH_NAMES[row['case']]} | {row['pps_cpu']:,.0f} | {row['pps']:,.0f} "
               f"| {row['ns']:,.0f} | {row['ns_min']:,.0f} |"
               + "".join(f" {row[key]:.2f} |" for key in others) + f" {max(lost, 0):.1%} |")


def start_table(data):
    """Of bench/start/run.py."""
    yield (f"{made_on(data)}; {data['starts']} starts of each by turns. Goals: "
           f"{data['goal_ms']:.0f} ms, {data['goal_mib']:.0f} MiB.")
    yield ""
    yield "| | ms | least | of processor | of that in the kernel | PSS MiB | RSS MiB | tables MiB |"
    yield "| --- |" + " ---: |" * 7
    for row in data["results"]:
        yield (f"| {START_NAMES[row['case']]} | {row['ms']:,.0f} | {row['ms_min']:,.0f} "
               f"| {row['cpu_ms']:,.0f} | {row['kernel_ms']:,.0f} | {row['pss'] / MIB:.1f} "
               f"| {row['rss'] / MIB:.1f} | {row['tables'] / MIB:,.1f} |")


def write_page(path, name, lines):
    begin, end = f"<!-- BEGIN {name} -->", f"<!-- END {name} -->"
    with open(path, encoding="utf-8") as page:
        text = page.read()
    lines = "\n".join([begin, *lines, end])
    text, count = re.subn(f"{begin}.*{end}", lambda _: lines, text, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{path}: the two comments that hold the table \"{name}\" are not there once")
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


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page")
    parser.add_argument("svg")
    parser.add_argument("--packet", metavar="JSON", help="of make bench-packet")
    parser.add_argument("--veth", metavar="JSON", help="of make bench-veth")
    parser.add_argument("--vm", metavar="JSON", help="of make bench-vm")
    parser.add_argument("--proxy", metavar="JSON", help="of make bench-proxy")
    parser.add_argument("--start", metavar="JSON", help="of make bench-start")
    parser.add_argument("--proxy-svg", metavar="FILE", default="docs/img/proxy.svg",
                        help="its picture (docs/img/proxy.svg)")
    parser.add_argument("--lossy", metavar="JSON", help="of make bench-lossy")
    parser.add_argument("--overload", metavar="JSON", help="of make bench-overload")
    parser.add_argument("--reload", metavar="JSON", help="of make bench-reload")
    parser.add_argument("--relay", metavar="JSON", help="of make bench-relay")
    parser.add_argument("--relay_vm", metavar="JSON", help="of make bench-relay-vm")
    options = parser.parse_args()
    if not any((options.packet, options.veth, options.vm, options.proxy, options.lossy,
                options.overload, options.reload, options.start, options.relay,
                options.relay_vm)):
        parser.error("nothing was measured: make bench-packet, -veth, -vm, -proxy, -lossy, "
                     "-overload, -reload, -start, -relay or -relay-vm")
    if options.packet:
        data = load(options.packet)
        data["results"] = [row for row in data["results"] if not row["program"]]
        write_page(options.page, "measured", table(data))
        draw(data, options.svg)
    for name in ("veth", "vm"):
        if getattr(options, name):
            write_page(options.page, name, veth_table(load(getattr(options, name))))
    if options.lossy:
        data = load(options.lossy)
        write_page(options.page, "lossy", plot_proxy.lossy_table(data, made_on(data)))
    if options.overload:
        data = load(options.overload)
        write_page(options.page, "overload", plot_proxy.overload_table(data, made_on(data)))
    if options.start:
        write_page(options.page, "start", start_table(load(options.start)))
    for name in ("relay", "relay_vm"):
        if getattr(options, name):
            data = load(getattr(options, name))
            write_page(options.page, name, plot_relay.table(data, made_on(data)))
    if options.proxy:
        data = load(options.proxy)
        write_page(options.page, "proxy", plot_proxy.page(data, made_on(data)))
        plot_proxy.draw(data, options.proxy_svg, plt)
    if options.reload:
        data = load(options.reload)
        write_page(options.page, "reload", plot_proxy.reload_page(data, made_on(data)))


if __name__ == "__main__":
    main()
