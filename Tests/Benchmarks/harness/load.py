"""Loads: as fast as it goes, at a fixed rate, and a given number of requests."""
import os
import re
import time

from .world import CLIENT, inside, run


def to_ms(text):
    number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def full_speed(world, protocol, url, connections, streams, seconds):
    """Closed loop. Returns requests, p50 and p99 in ms, and what went wrong or None."""
    if protocol == "h1":
        text = run(*inside(CLIENT, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url))
        count = int(re.search(r"(\d+) requests in", text).group(1))
        errors = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)", text)
        p50, p99 = (to_ms(re.search(rf"^\s+{p}%\s+(\S+)", text, re.M).group(1)) for p in ("50", "99"))
        return count, p50, p99, errors.group(0) if errors else None
    return h2load(world, protocol, url, "-c", str(connections), "-m", str(streams), "-D", str(seconds))


def fixed_rate(world, protocol, url, connections, rate, seconds):
    """About `rate` requests a second over all connections, spread evenly. Latency counts from the sending."""
    each = max(1, rate // connections)
    return h2load(world, protocol, url, "-c", str(connections), "-m", "8" if protocol == "h2" else "1",
                  "-D", str(seconds), f"--rps={each}")


def fixed_count(world, protocol, url, connections, streams, count):
    return h2load(world, protocol, url, "-c", str(connections), "-m", str(streams if protocol == "h2" else 1),
                  "-n", str(count), keeps_latencies=False)


def h2load(world, protocol, url, *arguments, keeps_latencies=True):
    log = world.path("h2load.tsv")
    extra = ["--h1"] if protocol == "h1" else []
    if keeps_latencies:
        extra.append(f"--log-file={log}")
    text = run(*inside(CLIENT, "h2load", "-t1", *arguments, *extra, url))
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (succeeded|failed|errored|timeout)", text)}
    bad = {word: number for word, number in counts.items() if word != "succeeded" and number}
    micros = []
    if keeps_latencies:
        with open(log) as file:
            micros = sorted(int(line.split()[2]) for line in file if line.strip())
        os.unlink(log)
    p50, p99 = (micros[int(len(micros) * p)] / 1000 if micros else 0 for p in (0.5, 0.99))
    return counts["succeeded"], p50, p99, str(bad) if bad else None


def settle(read, is_settled, seconds=20):
    """Reads until the value is as wanted or time is up; returns the last value."""
    deadline = time.time() + seconds
    value = read()
    while not is_settled(value) and time.time() < deadline:
        time.sleep(0.2)
        value = read()
    return value
