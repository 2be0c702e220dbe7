"""Debian's chromium without a window, driven by the DevTools protocol over a small WebSocket client."""
import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from web_socket import BINARY, CONTINUATION, PING, PONG, TEXT, frame, read_frame, request

PROGRAM = shutil.which("chromium")
PATIENCE = 30  # Seconds after which something that must happen has not.


def eventually(condition, what):
    """Waits until `condition()` is true, and returns what it says."""
    end = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("never happened: " + what)
        time.sleep(0.05)


class WebSocket:
    """Text messages only."""

    def __init__(self, port, path):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._stream = self._socket.makefile("rb")
        self._socket.sendall(request(path, f"127.0.0.1:{port}"))
        status = self._stream.readline()
        if b" 101 " not in status:
            raise ConnectionError(status.decode())
        while self._stream.readline() not in (b"\r\n", b""):
            pass

    def send(self, text):
        self._socket.sendall(frame(TEXT, text.encode(), masked=True))

    def receive(self):
        message = b""
        while True:
            opcode, payload, last = read_frame(self._stream)
            if opcode == PING:
                self._socket.sendall(frame(PONG, payload, masked=True))
            elif opcode in (CONTINUATION, TEXT, BINARY):
                message += payload
                if last:
                    return message.decode()

    def close(self):
        self._stream.close()
        self._socket.close()


class Browser:
    """One tab of a browser of its own. `faults` are the errors that the page has caused."""

    def __init__(self):
        self._profile = pathlib.Path(tempfile.mkdtemp(prefix="sidetap-page-"))
        self._process = subprocess.Popen(
            [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
             "--remote-debugging-port=0", f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.faults = []
        self._number = 0
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    def _connect(self):
        port_file = self._profile / "DevToolsActivePort"
        eventually(lambda: port_file.exists() and "\n" in port_file.read_text(), "the browser listens")
        port = int(port_file.read_text().split("\n")[0])

        def tab():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE) as answer:
                return next((t for t in json.load(answer) if t["type"] == "page"), None)
        url = eventually(tab, "the browser has a tab")["webSocketDebuggerUrl"]
        self._socket = WebSocket(port, "/" + url.split("/", 3)[3])
        for domain in ("Page", "Runtime", "Log"):
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.receive())
            if message.get("id") == self._number:
                if "error" in message:
                    raise AssertionError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message)

    def _note(self, message):
        if message.get("method") == "Runtime.exceptionThrown":
            self.faults.append(json.dumps(message["params"]["exceptionDetails"]))
        if message.get("method") == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.faults.append(message["params"]["entry"]["text"])

    def run(self, expression):
        """The value of an expression, or of what it promises."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{expression[:200]}: {json.dumps(result['exceptionDetails'])}")
        return result["result"].get("value")

    def until(self, expression, what=None):
        return eventually(lambda: self.run(expression), what or expression)

    def open(self, url):
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=url)
        eventually(lambda: self._holds(f"location.href.startsWith({json.dumps(url.split('#')[0])})"), url + " is there")
        eventually(lambda: self._holds("document.querySelector('main')?.getAttribute('aria-busy') === 'false'"),
                   url + " has shown its first answer")

    def _holds(self, expression):
        """Whether it does; not while one document replaces another."""
        try:
            return self.run(expression)
        except AssertionError:
            return False

    def press(self, key, modifiers=0):
        codes = {"Tab": 9, "Enter": 13}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key],
                      modifiers=modifiers)
            if kind == "rawKeyDown" and key == "Enter":
                self.call("Input.dispatchKeyEvent", type="char", text="\r", key=key)

    def size(self, width, height, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def scheme(self, scheme):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def close(self):
        if hasattr(self, "_socket"):
            self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._profile, ignore_errors=True)
