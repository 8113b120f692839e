"""What the bridge costs as its database fills."""

from bench import growth
from bench.ground import Ground, say
from bench.page import Section, Target

TEXT = """\
A database of each size, asked in turns, without sockets: milliseconds at p50. *warm*: a token that the worker has;
*look up*: what a first token asks the database; *person*: the console's page of one person."""
WARM, LOOK_UP = growth.WARM, growth.LOOK_UP


def measure(ground: Ground) -> Section:
    found = growth.measure(ground.folder("growth"))
    asked = list(found.rows[0].p50_ms)
    heads = ["| people | " + " | ".join(name.replace("_", " ") for name in asked) + " | filled in, s | MB |"]
    heads += ["|" + " ---: |" * (len(asked) + 3)]
    rows = [
        f"| {row.people:,} | {' | '.join(f'{ms:.2f}' for ms in row.p50_ms.values())} | {row.fill_s} | {row.stored_mb} |"
        for row in found.rows
    ]
    say("\n".join(rows))
    kept = ", ".join(f"{name} {mb:.0f} MB" for name, mb in found.rss_mb.items())
    text = [TEXT, "", *heads, *rows, "", f"Memory with {found.in_process:,} people who asked: {kept}."]
    people = f"{found.rows[0].people:,} to {found.rows[-1].people:,} people"
    targets = [
        Target(f"warm p50 from {people}", "≤", 1.1, "x", found.ratio(WARM)),
        Target(f"what a first token looks up, from {people}", "≤", 2, "x", found.ratio(LOOK_UP)),
    ]
    return Section("Growth", text, targets)
