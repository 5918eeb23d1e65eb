# SPDX-License-Identifier: BSD-2-Clause
"""What bench/relay/run.py measured, as a table for a page."""
NAMES = {"direct": "no relay", "copy": "`recv`, `send`", "splice": "`splice`",
         "sockmap-body": "sockmap, for each body", "sockmap-tunnel": "sockmap, for a connection",
         "seal": "TLS: `recv`, seal, `send`", "ktls-copy": "kTLS: `recv`, `send`",
         "ktls-splice": "kTLS: `splice`"}
MIB = 1 << 20
COLUMNS = ["body", "", "one processor, us", "x", "two processors, us", "x", "of the thread",
           "of the kernel's threads", "MiB/s"]


def line(cells):
    return "| " + " | ".join(cells) + " |"


def size(body):
    return f"{body // MIB} MiB" if body >= MIB else f"{body // 1024} KiB"


def us(number):
    return format(number, ",.1f" if abs(number) < 1000 else ",.0f")


def ratio(number):
    return "" if number is None else f"{number:.2f}"


def table(data, made_on):
    yield f"{made_on}; {data['rounds']} rounds of {data['seconds']:g} s."
    yield ""
    yield line(COLUMNS)
    yield "| --- | --- |" + " ---: |" * (len(COLUMNS) - 2)
    last = None
    for row in data["results"]:
        one, two = row["one"], row["two"]
        yield line(["" if row["body"] == last else size(row["body"]), NAMES[row["way"]],
                    us(one["us"]), ratio(one["x_base"]), us(two["us"]), ratio(two["x_base"]),
                    us(two["relay_us"]), us(two["kernel_us"]), f"{two['mib_s']:,.0f}"])
        last = row["body"]
    yield ""
    for way, why in data["lacks"].items():
        yield f"- {NAMES[way]}: not measured, {why}."
    for way in ("sockmap-tunnel", "ktls-copy"):
        setups = sorted(row["two"]["setup_us"] for row in data["results"] if row["way"] == way)
        if setups:
            yield (f"- {NAMES[way]}: besides, {us(setups[len(setups) // 2])} us of the relay's "
                   "thread for each connection.")
    yield (f"- Accounted for are {data['accounted']['one']:.0%} and {data['accounted']['two']:.0%} "
           "of the time that `/proc/stat` says the processors were busy.")
