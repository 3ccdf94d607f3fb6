"""python -m faults --upstream URL [--plan JSON|FILE]

Prints one line of JSON when it listens, on 127.0.0.1: {"url": ..., "pid": ...}. Ends on SIGTERM and when its standard
input closes. GET /faults/log tells what each call met; POST /faults/plan sets another plan.
"""

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from .proxy import Proxy


def arguments():
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--upstream", required=True, help="where calls go, such as http://127.0.0.1:5000")
    parser.add_argument("--plan", default="{}", help="the plan, or the name of a file that holds it")
    return parser.parse_args()


def main():
    asked = arguments()
    text = asked.plan if asked.plan.lstrip().startswith("{") else Path(asked.plan).read_text()
    proxy = Proxy(asked.upstream, json.loads(text))
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    print(json.dumps({"url": f"http://127.0.0.1:{proxy.server_port}", "pid": os.getpid()}), flush=True)
    threading.Thread(target=until_closed, args=(ended,), daemon=True).start()
    ended.wait()


def until_closed(ended):
    while sys.stdin.buffer.read(4096):
        pass
    ended.set()


if __name__ == "__main__":
    main()
