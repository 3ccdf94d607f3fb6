"""python -m emulator --dir DIR [--port 0] [--disks]

Prints one line of JSON when it is ready: {"url": ..., "devices": ..., "pid": ...}. Ends on SIGTERM and when its
standard input closes. Needs root and loop devices with --disks.
"""

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from . import patch


def arguments():
    parser = argparse.ArgumentParser(prog="emulator", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="where volumes, snapshots and by-id are kept")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--disks", action="store_true", help="volumes are files, attached ones are loop devices")
    return parser.parse_args()


def main():
    asked = arguments()
    patch.check_version()
    from . import patches
    from .disks import Disks
    from .runs.run import end_all
    from .server import serve
    from .warm import warm_up
    from .world import world

    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    asked.dir.mkdir(parents=True, exist_ok=True)
    world.disks = Disks(asked.dir.resolve(), asked.disks)
    try:
        patches.apply()
        server = serve(asked.port)
        port = server.server_address[1]
        world.url = f"http://127.0.0.1:{port}"
        # Tasks of Step Functions call back at this port.
        os.environ["MOTO_PORT"] = str(port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        warm_up(world.url)
        devices = asked.dir.resolve() / "by-id"
        print(json.dumps({"url": world.url, "devices": str(devices), "pid": os.getpid()}), flush=True)
        threading.Thread(target=until_closed, args=(ended,), daemon=True).start()
        ended.wait()
    finally:
        end_all()
        world.disks.close()
    # Nothing is left to do, and taking moto's models apart takes seconds.
    os._exit(0)


def until_closed(ended):
    while sys.stdin.buffer.read(4096):
        pass
    ended.set()


if __name__ == "__main__":
    main()
