"""Two network namespaces joined by a veth, the processes in them, and what /proc says about those."""
import glob
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BIN = os.environ.get("MESH_BIN", os.path.join(ROOT, ".build", "release"))
TICKS = os.sysconf("SC_CLK_TCK")
SERVER, CLIENT = f"bench-s-{os.getpid()}", f"bench-c-{os.getpid()}"
SERVER_IP, CLIENT_IP = "10.254.77.1", "10.254.77.2"
# The backend's ports: redirected to linkerd-proxy as in a pod, and the same again without any proxy before them.
BACKEND = {"h1": 8081, "h2": 8082}
DIRECT = {"h1": 8083, "h2": 8084}
# The user linkerd-proxy runs as, whose own connections are not redirected.
PROXY_UID = 2102


def raise_open_files(wanted=65_536):
    """As many descriptors as may be had: 10,000 connections on two sides need more than a shell's usual limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (wanted, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
            return limit
        except ValueError:
            continue
    return hard


def run(*args, **kw):
    result = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if result.returncode != 0:
        raise SystemExit(f"compare: {' '.join(args)} failed with {result.returncode}:\n{result.stdout[-2000:]}")
    return result.stdout


def inside(ns, *args):
    return ("ip", "netns", "exec", ns) + args


class Process:
    """One started program with its children."""

    def __init__(self, popen, name):
        self.popen, self.name = popen, name

    def pids(self):
        """The process and everything below it: nginx works in a child."""
        pids, found = [self.popen.pid], []
        while pids:
            pid = pids.pop()
            found.append(pid)
            try:
                with open(f"/proc/{pid}/task/{pid}/children") as file:
                    pids += [int(child) for child in file.read().split()]
            except OSError:
                pass
        return found

    def cpu_seconds(self):
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
            except OSError:
                pass
        return total / TICKS

    def memory(self):
        """(RSS, anonymous) in MB of the largest process in the tree."""
        rss = anonymous = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    text = file.read()
                rss = max(rss, int(re.search(r"^Rss:\s+(\d+)", text, re.M).group(1)))
                anonymous = max(anonymous, int(re.search(r"^Anonymous:\s+(\d+)", text, re.M).group(1)))
            except OSError:
                pass
        return rss / 1024, anonymous / 1024

    def is_running(self):
        return self.popen.poll() is None


class World:
    """Makes the namespaces, starts and ends programs, and leaves nothing behind."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="mesh-bench-")
        os.chmod(self.dir, 0o755)
        self.processes = []
        self.open_files = raise_open_files()
        for ns in (SERVER, CLIENT):
            run("ip", "netns", "add", ns)
            run(*inside(ns, "ip", "link", "set", "lo", "up"))
        run("ip", "link", "add", "bs0", "netns", SERVER, "type", "veth", "peer", "name", "bc0", "netns", CLIENT)
        for ns, dev, ip in ((SERVER, "bs0", SERVER_IP), (CLIENT, "bc0", CLIENT_IP)):
            run(*inside(ns, "ip", "addr", "add", f"{ip}/24", "dev", dev))
            run(*inside(ns, "ip", "link", "set", dev, "up"))
        # As linkerd-proxy-init does: what comes in for the backends goes to the inbound port.
        for port in BACKEND.values():
            run(*inside(SERVER, "iptables", "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "--dport", str(port),
                        "-j", "REDIRECT", "--to-ports", "4143"))
        return self

    def __exit__(self, *_):
        for process in list(self.processes):
            self.stop(process)
        for ns in (SERVER, CLIENT):
            subprocess.run(["ip", "netns", "del", ns], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def redirect_outbound(self, is_on):
        """The client pod's half of what linkerd-proxy-init does."""
        run(*inside(CLIENT, "iptables", "-t", "nat", "-A" if is_on else "-D", "OUTPUT", "-p", "tcp", "-d", SERVER_IP,
                    "--dport", str(BACKEND["h1"]), "-m", "owner", "!", "--uid-owner", str(PROXY_UID),
                    "-j", "REDIRECT", "--to-ports", "4140"))

    def start(self, ns, command, env=None, user=None):
        log = open(os.path.join(self.dir, os.path.basename(command[0]) + ".log"), "a")
        if user:
            command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"] + list(command)
        popen = subprocess.Popen(inside(ns, *command), stdout=log, stderr=log, env={**os.environ, **(env or {})})
        process = Process(popen, command[0])
        self.processes.append(process)
        return process

    def stop(self, process):
        process.popen.terminate()  # Not a kill: a killed nginx master leaves its workers behind.
        try:
            process.popen.wait(15)
        except subprocess.TimeoutExpired:
            process.popen.kill()
            process.popen.wait()
        self.processes.remove(process)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def wait_port(self, ns, port, seconds=20):
        deadline = time.time() + seconds
        while time.time() < deadline:
            table = subprocess.run(inside(ns, "ss", "-Hltn", f"sport = :{port}"), stdout=subprocess.PIPE, text=True).stdout
            if table.strip():
                return
            time.sleep(0.1)
        logs = "".join(f"-- {path}\n" + open(path).read()[-2000:] for path in glob.glob(self.path("*.log")))
        raise SystemExit(f"compare: nothing listens on port {port}:\n{logs}")

    def start_backend(self):
        servers = ""
        for ports in (BACKEND, DIRECT):
            for protocol, http2 in (("h1", ""), ("h2", " http2")):
                servers += f' server {{ listen {ports[protocol]}{http2} backlog=4096; location / {{ return 200 "hello, mesh\\n"; }} }}\n'
        conf = self.write("backend.conf", f"""daemon off; worker_processes 1; pid {self.dir}/backend.pid;
error_log {self.dir}/backend-error.log; events {{ worker_connections {self.open_files - 100}; }}
http {{ access_log off; keepalive_requests 1000000000; http2_max_concurrent_streams 256;
{servers} }}""")
        self.start(SERVER, [shutil.which("nginx"), "-c", conf])
        self.wait_port(SERVER, BACKEND["h1"])

    def make_certificates(self):
        """A CA, and a P-256 certificate for each pod under its mesh identity, in PEM."""
        openssl = shutil.which("openssl")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        run(openssl, "req", "-x509", *curve, "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"), "-days", "2",
            "-subj", "/CN=root.linkerd.cluster.local", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        for pod in ("client", "server"):
            run(openssl, "req", *curve, "-keyout", self.path(f"{pod}.key"), "-out", self.path(f"{pod}.csr"),
                "-subj", f"/CN={identity(pod)}")
            extensions = self.write(f"{pod}.ext", f"subjectAltName=DNS:{identity(pod)}\n"
                                    "extendedKeyUsage=serverAuth,clientAuth\nkeyUsage=critical,digitalSignature\n")
            run(openssl, "x509", "-req", "-in", self.path(f"{pod}.csr"), "-CA", self.path("ca.pem"), "-CAkey",
                self.path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", self.path(f"{pod}.crt"))
            with open(self.path(f"{pod}.pem"), "w") as both:
                for part in ("crt", "key"):
                    with open(self.path(f"{pod}.{part}")) as file:
                        both.write(file.read())
        for path in glob.glob(self.path("*")):
            os.chmod(path, 0o644)


def identity(pod):
    return f"{pod}.bench.serviceaccount.identity.linkerd.cluster.local"
