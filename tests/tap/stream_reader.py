"""Reads a capture stream over TCP, for the tests of taps and of collectors."""
import threading


class StreamReader:
    """Reads a stream to its end, from a socket that is connected."""

    def __init__(self, connection):
        self.connection = connection
        self.pieces = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        while piece := self.connection.recv(1 << 16):
            self.pieces.append(piece)

    @property
    def data(self):
        return b"".join(self.pieces)

    def end(self):
        self.thread.join(20)
        self.connection.close()
        return self.data
