#!/usr/bin/env python3
"""Says where it listens as `kubectl port-forward` does, and answers each request with its argument."""
import http.server
import sys


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Page)
print(f"Forwarding from 127.0.0.1:{server.server_port} -> 8446", flush=True)
server.serve_forever()
