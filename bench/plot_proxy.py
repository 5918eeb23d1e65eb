# SPDX-License-Identifier: BSD-2-Clause
"""What bench/proxy/run.py measured, as a table for a page and as a picture."""
import textwrap

COLOURS = {"floor": "#9a9a9a", "shunt": "#4c78a8", "nginx": "#54a24b", "haproxy": "#e0803c"}
NAMES = {"floor": "the floor", "shunt": "Shunt", "nginx": "nginx", "haproxy": "HAProxy"}
GOALS = {"floor": "{:.2f} x floor", "best": "{:.2f} x better", "bytes": "{:,} B"}
TITLES = ["", "", "us", "least", "user", "a second", "p50 us", "p99 us", "x better", "x floor",
          "errors", "goal"]
FORMATS = (("us", ".1f"), ("us_min", ".1f"), ("user", ".0%"), ("rps", ",.0f"), ("p50_us", ",.0f"),
           ("p99_us", ",.0f"), ("x_best", ".2f"), ("x_floor", ".2f"), ("errors", ""))


def goal(row):
    if "goal" not in row:
        return ""
    return GOALS[row["goal_of"]].format(row["goal"]) + ("" if row["met"] else ", missed")


def line(cells):
    return "| " + " | ".join(cells) + " |"


def sorted_rows(data):
    """By scenario as they were measured, the floor first in each. Not of another build of Shunt."""
    names, targets = list(data["scenarios"]), list(COLOURS)
    rows = [row for row in data["results"] if row["target"] in NAMES]
    return sorted(rows, key=lambda row: (names.index(row["scenario"]),
                                         targets.index(row["target"])))


def cost_table(data):
    last = None
    yield line(TITLES)
    yield "| --- | --- |" + " ---: |" * len(FORMATS) + " --- |"
    for row in sorted_rows(data):
        if "bytes" in row:
            continue
        scenario = "" if row["scenario"] == last else row["scenario"]
        last = row["scenario"]
        cells = [format(row[key], spec) if key in row else "" for key, spec in FORMATS]
        yield line([scenario, NAMES[row["target"]], *cells, goal(row)])


def memory_table(data):
    rows = [row for row in data["results"] if "bytes" in row]
    yield line(["", *(NAMES[name] for name in ("shunt", "nginx", "haproxy")), "x better", "goal"])
    yield "| --- |" + " ---: |" * 4 + " --- |"
    for scenario in data["scenarios"]:
        by_name = {row["target"]: row for row in rows if row["scenario"] == scenario}
        if by_name:
            sizes = [f"{by_name[name]['bytes']:,.0f}" for name in ("shunt", "nginx", "haproxy")]
            shunt = by_name["shunt"]
            yield line([scenario, *sizes, f"{shunt['x_best']:.2f}", goal(shunt)])


def lossy_table(data, made_on):
    """Of bench/proxy/lossy.py."""
    names = {"bare": "Shunt, no retries", "shunt": "Shunt", "haproxy": "HAProxy"}
    yield (f"{made_on}, {', '.join(data['peers'])}; {data['loss']} % of the packets lost each way, "
           f"{data['clients']} clients, {data['seconds']:g} s each.")
    yield ""
    yield line(["", "requests", "failed", "p50 ms", "p99 ms"])
    yield "| --- |" + " ---: |" * 4
    for name, row in data["results"].items():
        # One that failed counts as late as the clients' patience.
        late = f"{row['p99_ms']:,.0f}" if row["p99_ms"] < data["patience_ms"] else "failed"
        yield line([names[name], f"{row['requests']:,}", f"{row['failed']:.2%}",
                    f"{row['p50_ms']:.1f}", late])


def overload_table(data, made_on):
    """Of bench/proxy/overload.py."""
    yield f"{made_on}; {data['connections']:,} connections."
    yield ""
    yield line(["", "", "asked for in a second", "good answers", "refused", "p50 ms", "p99 ms",
                "us", "of the best"])
    yield "| --- | --- |" + " ---: |" * 7
    for name, row in data["results"].items():
        goal = f", goal {data['goal']:.0%}" if name == "shunt" else ""
        for kind, words, part in (("best", "its best", ""),
                                  ("over", "twice that", f"{row['ratio']:.0%}{goal}")):
            said = row[kind]
            yield line([NAMES[name], words, f"{said['rate']:,.0f}", f"{said['goodput']:,.0f}",
                        f"{said['refused'] / said['seconds']:,.0f}",
                        f"{said['p50_us'] / 1e3:,.0f}", f"{said['p99_us'] / 1e3:,.0f}",
                        f"{said['us']:.1f}", part])


def page(data, made_on):
    yield (f"{made_on}, {', '.join(data['peers'])}; {data['rounds']} rounds of "
           f"{data['seconds']:g} s.")
    yield ""
    yield from cost_table(data)
    yield ""
    yield "Bytes of user memory for each idle connection:"
    yield ""
    yield from memory_table(data)


def reload_page(data, made_on):
    """What bench/proxy/reload.py counted."""
    yield (f"{made_on}; {data['seconds']} s of each, a new configuration every "
           f"{data['every_ms']} ms.")
    yield ""
    yield line(["", "", "answers", "errors", "lost connections"])
    yield "| --- | --- |" + " ---: |" * 3
    for name, row in data["results"].items():
        lanes = {**row["lanes"], **({"steered": row["steered"]} if "steered" in row else {})}
        for lane, said in lanes.items():
            yield line([NAMES[name], lane, f"{said['done']:,}", f"{said['errors']:,}",
                        str(said.get("lost", ""))])


def draw(data, path, plt):
    """Cost relative to the better of nginx and HAProxy."""
    rows = [row for row in data["results"] if "us" in row and "x_best" in row]
    scenarios = [name for name in data["scenarios"] if any(r["scenario"] == name for r in rows)]
    height = 0.8 / len(COLOURS)
    figure, axes = plt.subplots(figsize=(8, 0.62 * len(scenarios) + 1.4))
    for place, (target, colour) in enumerate(COLOURS.items()):
        own = [row for row in rows if row["target"] == target]
        at = [scenarios.index(row["scenario"]) + (place - 1.5) * height for row in own]
        bars = axes.barh(at, [row["x_best"] for row in own], height, color=colour,
                         label=NAMES[target])
        axes.bar_label(bars, [f" {row['us']:.1f}" for row in own], fontsize=6)
    axes.set_yticks(range(len(scenarios)), [
        "\n".join(textwrap.wrap(data["scenarios"][name], 44)) for name in scenarios], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(1, color="black", linewidth=1, linestyle="--")
    axes.set_xlabel("processor time, the better of nginx and HAProxy being 1; at the bars: "
                    "microseconds a request", fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.3, 1.06), ncols=len(COLOURS),
                frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
