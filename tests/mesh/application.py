"""What runs beside the proxy: application.py http|raw|database|agent ADDRESS PORT.

http answers every request with its path, or with as many bytes as /bytes/N asks for. raw sends back what it gets. database
takes what comes. agent is the mesh's: it hands probes on to the application, from the proxy's address."""
import http.client
import http.server
import socket
import socketserver
import sys
import time

POD = "10.97.0.3"


class Application(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # noqa: N802
        # On a busy machine the tap may have to wait for a processor before it can ask who has opened the connection.
        time.sleep(0.05)
        if self.path.startswith("/bytes/"):
            body = bytes(i % 251 for i in range(int(self.path.rsplit("/", 1)[1])))
        else:
            body = b"answer-to-" + self.path[1:].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Agent(Application):
    def do_GET(self):  # noqa: N802
        connection = http.client.HTTPConnection(POD, 8080, source_address=("127.0.0.6", 0))
        connection.request("GET", "/probe-marker", headers={"User-Agent": self.headers["User-Agent"]})
        connection.getresponse().read()
        connection.close()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Raw(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


def main():
    kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    handler = {"http": Application, "agent": Agent, "raw": Raw, "database": Raw}[kind]

    class Server(socketserver.ThreadingTCPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        allow_reuse_address = True
        daemon_threads = True

    with Server((address, port), handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
