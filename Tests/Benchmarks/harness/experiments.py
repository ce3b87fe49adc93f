"""What is measured: each function runs its rounds and returns rows by contestant, one for each round."""
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager

from . import contestants, load
from .world import CLIENT, DIRECT, SERVER_IP, inside, run

IDLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "idle.py")


def chosen(world, protocol, options, threads=None):
    threads = threads or options.threads
    if options.path == "mesh":
        found = contestants.mesh_contestants(world, threads)
    else:
        found = contestants.inbound_contestants(world, protocol, threads)
    if options.only:
        names = options.only.split(",")
        found = [one for one in found if any(name in one.name for name in names)]
    return found


@contextmanager
def running(world, contestant):
    """Starts the parts one after another, waits for each to listen, and ends them."""
    processes = []
    if contestant.redirects_outbound:
        world.redirect_outbound(True)
    try:
        for part in contestant.parts:
            processes.append((part, world.start(part.ns, part.command, part.env, part.user)))
            world.wait_port(part.ns, part.port)
        time.sleep(0.5)  # Listening is not yet quiet: caches fill, certificates arrive.
        yield [process for part, process in processes if part.is_measured]
    finally:
        for _, process in reversed(processes):
            world.stop(process)
        if contestant.redirects_outbound:
            world.redirect_outbound(False)


def memory(processes):
    pairs = [process.memory() for process in processes]
    return sum(rss for rss, _ in pairs), sum(anonymous for _, anonymous in pairs)


def cpu(processes):
    return sum(process.cpu_seconds() for process in processes)


def note(text):
    print(f"  {text}", file=sys.stderr, flush=True)


def throughput(world, protocol, options):
    results = {}
    for number in range(options.rounds):
        for contestant in chosen(world, protocol, options):
            row = throughput_once(world, protocol, options, contestant)
            results.setdefault(contestant.name, []).append(row)
            note(f"{protocol} round {number + 1}: {contestant.name}: {row['cpu_us']:.1f} µs a request, {row['rps']:.0f} a second")
    return results


def check_path(contestant):
    """Stops when the metrics deny that requests took the path that is measured: a figure for another would lie."""
    if not contestant.must_show:
        return
    ns, pattern = contestant.must_show
    text = run(*inside(ns, "curl", "-s", "http://127.0.0.1:4191/metrics"))
    if not re.search(pattern, text, re.M):
        seen = "\n".join(line for line in text.splitlines() if line.startswith("request_total"))
        raise SystemExit(f"compare: {contestant.name}: no metric matches {pattern}:\n{seen}")


def throughput_once(world, protocol, options, contestant):
    with running(world, contestant) as processes:
        idle_rss, _ = memory(processes)
        load.full_speed(world, protocol, contestant.url, options.connections, options.streams, 1)  # Warms connections and caches.
        before, started = cpu(processes), time.time()
        count, p50, p99, errors = load.full_speed(
            world, protocol, contestant.url, options.connections, options.streams, options.seconds)
        spent, elapsed = cpu(processes) - before, time.time() - started
        rss, anonymous = memory(processes)
        check_path(contestant)
        return {"cpu_us": spent / max(count, 1) * 1e6, "rps": count / elapsed, "p50_ms": p50, "p99_ms": p99,
                "rss_mb": rss, "anonymous_mb": anonymous, "idle_rss_mb": idle_rss, "errors": errors}


def latency(world, protocol, options):
    """Latency at a fixed rate, beside that of the backend without a proxy in the same round."""
    results = {}
    for number in range(options.rounds):
        url = f"http://{SERVER_IP}:{DIRECT[protocol]}/"
        _, p50, p99, errors = load.fixed_rate(world, protocol, url, options.connections, options.rate, options.seconds)
        direct = {"p50_ms": p50, "p99_ms": p99, "errors": errors}
        results.setdefault("direct", []).append(direct)
        for contestant in chosen(world, protocol, options):
            with running(world, contestant) as processes:
                load.fixed_rate(world, protocol, contestant.url, options.connections, options.rate, 1)
                before = cpu(processes)
                count, p50, p99, errors = load.fixed_rate(
                    world, protocol, contestant.url, options.connections, options.rate, options.seconds)
                spent = cpu(processes) - before
            results.setdefault(contestant.name, []).append({
                "p50_ms": p50, "p99_ms": p99, "added_p50_ms": p50 - direct["p50_ms"], "added_p99_ms": p99 - direct["p99_ms"],
                "rps": count / options.seconds, "cpu_us": spent / max(count, 1) * 1e6, "errors": errors})
            note(f"{protocol} round {number + 1}: {contestant.name}: p50 {p50:.3f} ms, p99 {p99:.3f} ms")
    return results


def scaling(world, protocol, options):
    """CPU per request with one thread and with two, in alternation."""
    results = {}
    for number in range(options.rounds):
        for threads in (1, 2):
            for contestant in chosen(world, protocol, options, threads):
                row = throughput_once(world, protocol, options, contestant)
                results.setdefault(contestant.name, {}).setdefault(threads, []).append(row)
                note(f"{protocol} round {number + 1}: {contestant.name}, {threads} threads: {row['cpu_us']:.1f} µs a request")
    return results


def idle(world, protocol, options):
    """Memory with many connections that carried one request each and are quiet now."""
    results = {}
    for contestant in chosen(world, protocol, options):
        host, port = contestant.url.removeprefix("http://").rstrip("/").split(":")
        with running(world, contestant) as processes:
            empty = memory(processes)
            client = subprocess.Popen(
                inside(CLIENT, sys.executable, IDLE, host, port, str(options.idle), protocol),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            first = client.stdout.readline()
            is_open = first.strip() == f"open {options.idle}"
            time.sleep(3 if is_open else 0)  # Long enough for pools towards the backend to settle.
            full = memory(processes)
            rest, _ = client.communicate()
            if not is_open:
                rest = (first + rest).strip().splitlines()[-1]
            results[contestant.name] = {
                "rss_mb": full[0], "anonymous_mb": full[1], "idle_rss_mb": empty[0],
                "bytes_each": (full[0] - empty[0]) * 1_048_576 / options.idle, "errors": rest or None}
            note(f"{protocol}: {contestant.name}: {full[0]:.1f} MB")
    return results


def soak(world, protocol, options):
    """Memory after each tenth of the requests, of linkerd-proxy alone unless others are asked for."""
    if not options.only:
        options.only = "linkerd-proxy"
    results = {}
    for contestant in chosen(world, protocol, options):
        with running(world, contestant) as processes:
            rows = []
            for part in range(10):
                started = time.time()
                count, _, _, errors = load.fixed_count(
                    world, protocol, contestant.url, options.connections, options.streams, options.soak // 10)
                rss, anonymous = memory(processes)
                rows.append({"requests": count, "rss_mb": rss, "anonymous_mb": anonymous, "errors": errors})
                note(f"{protocol} part {part + 1} of 10: {contestant.name}: {count} requests in {time.time() - started:.0f} s, "
                     f"{rss:.1f} MB ({anonymous:.1f})")
            results[contestant.name] = rows
    return results
