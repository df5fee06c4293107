"""An HTTP server that receives from the Sentry and OpenTelemetry clients, and can be made to hang."""

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """Records the path and the decompressed body of each POST; requests hang while `open` is not set."""

    def __init__(self):
        self.got = []
        self.open = threading.Event()
        self.open.set()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def handler(self):
        """Return the request handler class."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.open.wait(30)
                if self.headers["Content-Encoding"] == "gzip":
                    body = gzip.decompress(body)
                receiver.got.append((self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Log nothing."""

        return Handler

    def close(self):
        """Stop the server."""
        self.open.set()
        self.server.shutdown()
        self.server.server_close()
