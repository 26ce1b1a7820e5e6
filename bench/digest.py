"""What `make bench` found, as a Markdown report, as plots, and as README's table. Pure: the dictionary of runs.py in, text out."""
import svg

README_BEGIN, README_END = "<!-- make bench: begin -->", "<!-- make bench: end -->"


def number(value, decimals=0):
    """For people; - where there is none."""
    if value is None:
        return "-"
    if decimals == 0 and abs(value) >= 1e6:
        return f"{value / 1e6:,.2f} M"
    return f"{value:,.{decimals}f}"


def rows(said, member):
    return {row["name"]: row for row in said.get(member, [])}


def counts(said):
    """Whether a run counts: it ended well, and its load was not too busy."""
    return said.get("status") == 0 and not any("not count" in warning for warning in said.get("warnings", []))


def table(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(line) + " |" for line in lines)])


def each_run(data):
    """Every run with a name for people."""
    for name, said in data["runs"].items():
        if isinstance(said, dict):
            yield name, said
            continue
        for one in said:
            for part in ("gateway", "floor"):
                if part in one:
                    yield f"{name}, {one['connections']:,} connections, {part}", one[part]
            if "gateway" not in one:
                yield f"{name}, {one.get('rate') or one.get('connections') or one.get('way')}", one


def failures(data):
    return [f"{name}: {said.get('failed') or '; '.join(said.get('warnings', [])) or 'see its figures'}" for name, said in each_run(data)
            if said.get("failed") or said.get("status")]


def warnings(data):
    return [f"{name}: {warning}" for name, said in each_run(data) for warning in said.get("warnings", [])]


# ---- plots ---------------------------------------------------------------------------------------------------------

def points(found, x, y):
    return [(one[x], one[y], counts(one)) for one in found if one.get(x) and one.get(y) is not None]


def plots(data):
    found = data["runs"]
    crowds = found["crowds"]
    return {
        "delay": svg.plot("Delay against rate", "updates a second", "ms", {
            "to the last, p99": points(found["rates"], "rate", "last_p99_ms"), "to the last, p50": points(found["rates"], "rate", "last_p50_ms"),
            "of all, p50": points(found["rates"], "rate", "delay_p50_ms")}, log_x=True, log_y=True),
        "delivered": svg.plot("Delivered against connections", "connections", "delivered/s", {
            "gateway, busy time": [(one["connections"], one["gateway"].get("delivered_per_busy_s", 0), counts(one["gateway"])) for one in crowds],
            "floor": [(one["connections"], one["floor"].get("frames_per_s", 0), bool(one["floor"].get("counts"))) for one in crowds]}, log_x=True),
        "memory": svg.plot("Memory against connections", "connections", "MiB", {
            "gateway": [(one["connections"], one["resident_after_kib"] / 1024, counts(one)) for one in found["idles"] if "resident_after_kib" in one]}),
        "frames": svg.plot("Frames for each send against load", "updates a second", "frames", {
            "frames": points(found["rates"], "rate", "frames_per_send")}, log_x=True, log_y=True),
    }


# ---- tables --------------------------------------------------------------------------------------------------------

def pair_table(data):
    lines = []
    for name, row in rows(data["runs"]["pair"], "variants").items():
        ratio = "-" if row["ratio"] is None else f"**{row['ratio']:.2f}** ({row['ratio_least']:.2f} to {row['ratio_most']:.2f})"
        lines.append([name, ratio, number(row["delivered_per_s"]), number(row["frames_per_send"], 1), number(row.get("ranges_per_send"), 1), number(row["floor_per_s"]), number(row["pairs"])])
    return table(["load", "ratio to the floor", "delivered/s", "frames a send", "ranges", "floor/s", "pairs"], lines)


def at_least(row, figure, counted, decimals=0):
    """A figure of which no run counted is a lower bound: the load was busy."""
    if row[figure] is None:
        return "-"
    return number(row[figure], decimals) + ("" if row[counted] else " (not counted: load busy)")


def compare_table(data):
    lines = []
    for name, row in rows(data["runs"]["compare"], "peers").items():
        lines.append([name, at_least(row, "window_delivered_per_s", "window_counted"), at_least(row, "saturated_delivered_per_s", "saturated_counted"),
                      at_least(row, "last_p50_ms", "delay_counted", 1), at_least(row, "last_p99_ms", "delay_counted", 1),
                      number(row["resident_bytes_each"]), number(row["saturated_resident_mib"]), number(row["saturated_sockets_mib"])])
    head = ["server", "delivered/s, window", "delivered/s, unbounded", "last of all, p50 ms", "p99 ms", "bytes a further connection", "MiB, unbounded", "sockets MiB"]
    return table(head, lines)


def rates_table(data):
    lines = [[number(one.get("rate")), *(number(one.get(name), 2) for name in
              ("delay_p50_ms", "delay_p99_ms", "delay_p9999_ms", "last_p50_ms", "last_p99_ms", "last_max_ms", "frames_per_send")),
              "yes" if counts(one) else "**no**"] for one in data["runs"]["rates"]]
    return table(["updates/s", "p50 ms", "p99", "p99.99", "last p50", "last p99", "last max", "frames a send", "counts"], lines)


def crowds_table(data):
    lines = []
    for one in data["runs"]["crowds"]:
        said, floor = one["gateway"], one["floor"]
        busy, frames = said.get("delivered_per_busy_s"), floor.get("frames_per_s")
        lines.append([number(one["connections"]), number(said.get("delivered_per_s")), number(busy), number(said.get("frames_per_send"), 1), number(frames),
                      number(busy / frames if busy and frames else None, 2), number(said.get("fairness"), 3), number(said.get("sends_per_enter"), 1)])
    return table(["connections", "delivered/s", "of its busy time", "frames a send", "floor/s", "ratio", "fewest to most", "sends a system call"], lines)


def facts_table(data):
    """Storm, slow readers, many topics."""
    storm, slow, zipf = (data["runs"][name] for name in ("storm", "slow", "zipf"))
    bare = rows(data["runs"].get("bare", {}), "peers")
    ours, loop = bare.get("ringcast", {}), bare.get("a bare loop", {})
    lines = [
        ["delay to the last, 50 updates/s: gateway, a bare loop of sends", "; ".join(f"{name} {number(ours.get(f'last_{name}_ms'), 2)}, {number(loop.get(f'last_{name}_ms'), 2)} ms" for name in ("p50", "p99"))],
        *([f"publishing without subscribers, {said.get('way', '-')}{' with acks' if 'acks' in said else ''}: updates/s, of its processor time",
           f"{number(said.get('updates_per_s'))}, {number(said.get('updates_per_busy_s'))}"] for said in data["runs"].get("publish", [])),
        ["storm: reconnects with resume", f"{number(storm.get('reconnects_per_s'))} /s; all back in {number(storm.get('back_s'), 3)} s"],
        ["delay to the others, p99: before, in storms", f"{number(storm.get('quiet_delay_p99_ms'), 2)} ms, {number(storm.get('storm_delay_p99_ms'), 2)} ms"],
        [f"{number(slow.get('stalled'))} stalled beside {number(slow.get('readers'))}: delivered to the others, to that alone", number(slow.get("ratio"), 2)],
        ["gateway's memory meanwhile: first, most", f"{number(slow.get('resident_first_mib'), 1)} MiB, {number(slow.get('resident_most_mib'), 1)} MiB"],
        ["kernel's socket memory: most; for each stalled one", f"{number(slow.get('sockets_most_mib'), 1)} MiB; {number(slow.get('sockets_bytes_each'))} bytes"],
        ["100 topics, 10 a connection, Zipf 1.0", f"{number(zipf.get('delivered_per_s'))} delivered/s, {number(zipf.get('frames_per_send'), 1)} frames a send"],
    ]
    return table(["what", "figure"], lines)


def idles_table(data):
    lines = [[number(one.get("connections")), number(one.get("bytes_per_connection_after")), number(one.get("gateway_process"), 2)] for one in data["runs"]["idles"]]
    return table(["connections", "bytes each", "% of a CPU"], lines)


def micro_table(data):
    lines = [[name, number(row["ns"], 1), number(row["ns_median"], 1), number(row["gb_per_s"], 1)] for name, row in rows(data["runs"]["micro"], "steps").items()]
    return table(["step", "ns", "median", "GB/s"], lines)


# ---- the texts -----------------------------------------------------------------------------------------------------

def machine_sentence(data):
    machine = data["machine"]
    return (f"{machine['processor']}, {machine['cpus']} CPUs{' of a virtual machine' if machine['virtual'] else ''}, {machine['memory_gib']} GiB; {machine['system']}, "
            f"Linux {machine['kernel']}; {machine['compiler']}; gateway on CPU {machine['server_cpu']}, load on CPU {machine['load_cpu']}, over loopback")


def summary(data):
    """The short one: ratios first, then the peers."""
    return pair_table(data) + "\n\n" + compare_table(data)


def report(data, name):
    versions = [f"{said}" for key, said in data["runs"]["compare"].items() if key.startswith("peer_")]
    disturbed = warnings(data)
    quick = "\n**A quick run: it shows that all works, and measures nothing.**\n" if data["quick"] else ""
    busy = f"\nThe machine's load was {data['machine']['load_before']:.2f} when it began: something else ran on it.\n" if data["machine"]["load_before"] > 0.5 else ""
    sections = [
        ("Gateway and floor in alternation", "The floor is a bare loop of the same sends with no protocol (`floor`). Medians, least to most in brackets.", pair_table(data)),
        ("Beside other servers", "Each on one core, the same reader and load for all: 100-byte frames, one topic. " + "; ".join(versions) + ".", compare_table(data)),
        ("Delay against rate", f"From when each update was due.\n\n![delay]({name}-delay.svg)\n\n![frames]({name}-frames.svg)", rates_table(data)),
        ("Delivered against connections", f"At most 128 updates unread.\n\n![delivered]({name}-delivered.svg)", crowds_table(data)),
        ("Idle connections", f"![memory]({name}-memory.svg)", idles_table(data)),
        ("Publishing, storms, slow readers, many topics", "", facts_table(data)),
        ("Single steps", "The fastest of 25 times; instructions are in [instructions.md](instructions.md).", micro_table(data)),
    ]
    body = "\n\n".join(f"## {title}\n{words}\n\n{lines}" if words else f"## {title}\n\n{lines}" for title, words, lines in sections)
    notes = "\n".join(f"- {warning}" for warning in disturbed) or "None."
    return (f"# Bench of {data['date']} {data['time']}, commit {data['commit']}\n\n{machine_sentence(data)}. It took {data['minutes']} minutes.\n{busy}{quick}\n"
            f"{body}\n\n## What does not count, and other warnings\n{notes}\n")


def into_readme(text, data, path):
    """README with the newest table between its marks."""
    if README_BEGIN not in text or README_END not in text:
        raise ValueError(f"README has no place for it: {README_BEGIN} and {README_END}")
    before, rest = text.split(README_BEGIN, 1)
    after = rest.split(README_END, 1)[1]
    words = f"Newest: [{data['date']}, commit {data['commit']}]({path}) on {machine_sentence(data)}."
    return f"{before}{README_BEGIN}\n{words}\n\n{summary(data)}\n{README_END}{after}"
