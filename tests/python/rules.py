"""The alerts of `monitoring/alerts.yml`, and the same ones in less time.

A test cannot wait for 26 hours. `hastened` divides every duration of an alert by one number and leaves all else as it
is: what fires in a test is the rule that is shipped. A duration is what stands behind `for:`, in brackets behind a
series, and every product or number of seconds that is written with 3600 or 86400.
"""

import re

from prometheus import ALERTS

UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
FOR = re.compile(r"(?<=for: )(\d+)(ms|s|m|h|d)\b")
RANGE = re.compile(r"(?<=\[)(\d+)(ms|s|m|h|d)(?=\])")
SECONDS = re.compile(r"\b(?:(\d+) \* )?(3600|86400)\b")
# A rate or a prediction needs so many scrapes.
SCRAPES = 4


def alerts():
    """Each alert's name and text."""
    parts = re.split(r"^ +- alert: (\w+)$", ALERTS.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def in_ms(match, divisor):
    return round(int(match[1]) * UNITS[match[2]] / divisor)


def hastened_rule(text, divisor, scrape_ms):
    """One rule whose durations are so many times shorter."""

    def of_range(match):
        length = in_ms(match, divisor)
        assert length >= SCRAPES * scrape_ms, f"[{match[0]}] divided by {divisor} is shorter than {SCRAPES} scrapes"
        return f"{length}ms"

    def of_seconds(match):
        return repr(int(match[1] or 1) * int(match[2]) / divisor)

    text = FOR.sub(lambda match: f"{in_ms(match, divisor)}ms", text)
    return SECONDS.sub(of_seconds, RANGE.sub(of_range, text))


def hastened(divisors, scrape_ms):
    """The whole file, each alert with a divisor of its own."""
    head, *parts = re.split(r"^( +- alert: )(\w+)$", ALERTS.read_text(), flags=re.MULTILINE)
    done = [head]
    for dash, name, rule in zip(parts[::3], parts[1::3], parts[2::3]):
        done += [dash, name, hastened_rule(rule, divisors[name], scrape_ms)]
    return "".join(done)


def masked(text):
    """The file without its durations."""
    for pattern in (FOR, RANGE):
        text = pattern.sub("DURATION", text)
    return re.sub(r"(?<=[<>] )\d+\.\d+(?=$|\n)|(?<=, )\d+\.\d+(?=\))", "SECONDS", SECONDS.sub("SECONDS", text))
