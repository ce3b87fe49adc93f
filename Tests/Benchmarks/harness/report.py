"""Tables in Markdown, ready for the README beside the harness."""


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


def ratio(rows, base, key):
    """Median of the rounds' ratios: each round saw the same machine."""
    return median([row[key] / other[key] if other[key] else 0 for row, other in zip(rows, base)])


def find(results, name):
    return next((rows for key, rows in results.items() if name in key), None)


def heading(protocol, options, more=""):
    what = {"h1": "HTTP/1.1 → HTTP/1.1", "h2": f"HTTP/2 → HTTP/2, {options.streams} stream(s) a connection"}[protocol]
    if options.path == "mesh":
        what = "HTTP/1.1 → outbound → mTLS HTTP/2 → inbound → HTTP/1.1, both proxies together"
    return f"{what}, {options.connections} connections, {options.rounds} rounds of {options.seconds} s{more}"


def show_errors(results):
    for name, rows in results.items():
        for row in rows:
            if row["errors"]:
                print(f"  {name}: {row['errors']}")


def throughput(protocol, options, results):
    haproxy, envoy = find(results, "haproxy"), find(results, "envoy")
    print(f"\n{heading(protocol, options)}\n\n| Proxy | CPU µs/request (median, range) | × HAProxy | × Envoy | requests/s | p50 ms | p99 ms "
          "| RSS MB | anonymous MB | idle RSS MB |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, rows in results.items():
        cpu = [row["cpu_us"] for row in rows]
        pick = {key: median([row[key] for row in rows]) for key in rows[0] if key != "errors"}
        ratios = [f"{ratio(rows, base, 'cpu_us'):.2f}" if base else "" for base in (haproxy, envoy)]
        print(f"| {name} | {pick['cpu_us']:.1f} ({min(cpu):.1f}–{max(cpu):.1f}) | {ratios[0]} | {ratios[1]} | {pick['rps']:.0f} | "
              f"{pick['p50_ms']:.2f} | {pick['p99_ms']:.2f} | {pick['rss_mb']:.1f} | {pick['anonymous_mb']:.1f} | {pick['idle_rss_mb']:.1f} |")
    show_errors(results)


def latency(protocol, options, results):
    print(f"\n{heading(protocol, options, f', {options.rate} requests/s')}\n\n| | p50 ms | p99 ms | added p50 ms | added p99 ms "
          "| requests/s | CPU µs/request |\n|---|---:|---:|---:|---:|---:|---:|")
    for name, rows in results.items():
        pick = {key: median([row[key] for row in rows]) for key in rows[0] if key != "errors"}
        if name == "direct":
            print(f"| no proxy | {pick['p50_ms']:.3f} | {pick['p99_ms']:.3f} | | | | |")
        else:
            print(f"| {name} | {pick['p50_ms']:.3f} | {pick['p99_ms']:.3f} | {pick['added_p50_ms']:.3f} | {pick['added_p99_ms']:.3f} | "
                  f"{pick['rps']:.0f} | {pick['cpu_us']:.1f} |")
    show_errors(results)


def scaling(protocol, options, results):
    print(f"\n{heading(protocol, options)}\n\n| Proxy | CPU µs/request, 1 thread | 2 threads | 2 over 1 |\n|---|---:|---:|---:|")
    for name, by_threads in results.items():
        one, two = by_threads[1], by_threads[2]
        print(f"| {name} | {median([row['cpu_us'] for row in one]):.1f} | {median([row['cpu_us'] for row in two]):.1f} | "
              f"{ratio(two, one, 'cpu_us'):.2f} |")
        show_errors({name: one + two})


def idle(protocol, options, results):
    print(f"\n{options.idle} quiet connections, {'HTTP/1.1' if protocol == 'h1' else 'HTTP/2'}\n\n"
          "| Proxy | RSS MB | anonymous MB | RSS MB before | bytes a connection |\n|---|---:|---:|---:|---:|")
    for name, row in results.items():
        print(f"| {name} | {row['rss_mb']:.1f} | {row['anonymous_mb']:.1f} | {row['idle_rss_mb']:.1f} | {row['bytes_each']:.0f} |")
        if row["errors"]:
            print(f"  {name}: {row['errors']}")


def soak(protocol, options, results):
    print(f"\n{heading(protocol, options).split(',')[0]}, soak of {options.soak} requests: RSS (anonymous) in MB after each tenth\n")
    for name, rows in results.items():
        print(f"- {name}: " + ", ".join(f"{row['rss_mb']:.1f} ({row['anonymous_mb']:.1f})" for row in rows))
        early, late = max(row["rss_mb"] for row in rows[:3]), rows[-1]["rss_mb"]
        print(f"  {'flat' if late <= early + 1 else 'GROWING'}: {late - early:+.1f} MB from the third tenth to the last")
    show_errors(results)
