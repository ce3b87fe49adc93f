"""Opens a page in headless chromium by WebDriver, waits until it shows every word, and prints its HTML.

browse.py URL SECONDS WIDTH SCREENSHOT WORD...     (the screenshot is a PNG path, or - for none)
"""
import base64, json, socket, subprocess, sys, time, urllib.request


def call(base, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]


def main():
    url, seconds, width, screenshot, words = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base, session = f"http://127.0.0.1:{port}", None
    try:
        deadline = time.time() + 20
        while True:
            try:
                call(base, "GET", "/status")
                break
            except OSError:
                if time.time() > deadline:
                    raise
                time.sleep(0.1)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},1400"]
        options = {"goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "SEVERE"}}
        session = "/session/" + call(base, "POST", "/session", {"capabilities": {"alwaysMatch": options}})["sessionId"]
        call(base, "POST", session + "/url", {"url": url})
        deadline = time.time() + seconds
        while True:
            page = call(base, "GET", session + "/source")
            missing = [word for word in words if word not in page]
            if not missing:
                break
            if time.time() > deadline:
                print(page)
                sys.exit(f"browse: the page never showed {missing}")
            time.sleep(0.3)
        if screenshot != "-":
            with open(screenshot, "wb") as file:
                file.write(base64.b64decode(call(base, "GET", session + "/screenshot")))
        for entry in call(base, "POST", session + "/se/log", {"type": "browser"}):
            print("console:", entry["message"], file=sys.stderr)
        print(page)
    finally:
        if session:
            call(base, "DELETE", session)
        driver.kill()
        driver.wait()


main()
