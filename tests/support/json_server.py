"""An HTTPS server on 127.0.0.1 that answers JSON, for tests that play the API server."""
import http.server
import json
import ssl
import threading
import types


class JsonServer:
    def __init__(self, folder, answer):
        """`folder` holds tls.crt and tls.key. `answer`, called by several threads: (method, path, headers, body) ->
        (status code, what is sent as JSON; of a generator its pieces, as they come)."""

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                code, document = answer(self.command, self.path, self.headers, body)
                if isinstance(document, types.GeneratorType):
                    return self.stream(code, document)
                text = json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def stream(self, code, pieces):
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for piece in pieces:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:  # The client has gone.
                    self.close_connection = True

            do_GET = do_PUT = do_PATCH = do_POST = respond

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        # close() waits for the next look.
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
