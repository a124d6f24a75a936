"""Clouds' own clients against the metadata service, as in a guest: in a network namespace of its own, whose loopback device
has the metadata addresses, with a relay from port 80 to the unix socket of an interface, which is the VMM's part in life.

Started by the test `clients` as `unshare -n PYTHON ask.py CLIENT SOCKET`; writes what the client got as JSON.
"""

import json
import socket
import subprocess
import sys
import threading

from clients import CLIENTS

ADDRESSES = ["169.254.169.254", "100.100.100.200"]


def relay(listener, path):
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # One of the two has gone; the other sees it at its next word.
            pass

    while True:
        guest, _ = listener.accept()
        service = socket.socket(socket.AF_UNIX)
        service.connect(path)
        for pair in [(guest, service), (service, guest)]:
            threading.Thread(target=copy, args=pair, daemon=True).start()


def main():
    client, path = sys.argv[1:]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
        listener = socket.create_server((address, 80))
        threading.Thread(target=relay, args=(listener, path), daemon=True).start()
    print(json.dumps(CLIENTS[client](), default=str))


main()
