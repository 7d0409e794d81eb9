"""A decoding process that misbehaves as the name of the file says; run by the tests of the pool."""

import os
import signal
import sys
import time
from dataclasses import asdict
from io import FileIO
from pathlib import Path

from offclip.images.film import FilmMetadata, PixelGrid
from offclip.images.protocol import read_frame, write_frame


def main(counter: str) -> None:
    """Answers a file as its name says; writes a line into `counter` for each process that starts."""
    with Path(counter).open("a") as file:
        file.write(f"{os.getpid()}\n")
    questions, answers = FileIO(0, "rb"), FileIO(1, "wb")
    read_frame(questions, 0)
    write_frame(answers, {"ready": True, "memory_limited": True})
    good = {"grid": asdict(PixelGrid(2, 3)), "metadata": asdict(FilmMetadata("PNG")), "shape": [2, 3]}
    good |= {"geometry": None}
    files = 0
    while (question := read_frame(questions, 10**6)) is not None:
        name, files = question.head["name"], files + 1
        if name == "abort" or (name == "abort-unless-fresh" and files > 1):
            os.abort()
        elif name == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif name == "exit":
            sys.exit(7)
        elif name == "hang":
            time.sleep(60)
        elif name == "slow":
            time.sleep(0.3)
        elif name == "garbage":
            os.write(1, b"libpng warning: this is no frame at all" * 10)
            continue
        elif name == "half":
            write_frame(answers, good, b"\1\2\3")
            return
        lies = {
            "lie-size": (good | {"shape": [20000, 30000]}, b"123456"),
            "lie-grid": (good | {"grid": asdict(PixelGrid(3, 2))}, b"123456"),
            "lie-type": (good | {"grid": {"height": "2", "width": 3}}, b"123456"),
            "lie-field": (good | {"metadata": {"format": "PNG", "__class__": "os.system"}}, b"123456"),
            "lie-nothing": ({}, b""),
            "lie-long": (good, b"x" * 5000),
            "lie-few": (good, b"123"),
            "lie-reason": ({"refused": {"message": "m", "remedy": "r", "reason": "because"}}, b""),
            "lie-refusal": ({"refused": ["m"]}, b""),
            "control": ({"refused": {"message": "a\x1b[31mb", "remedy": "", "reason": "damaged"}}, b""),
        }
        head, body = lies.get(name, (good, bytes([files] * 6)))
        write_frame(answers, head, body)


if __name__ == "__main__":
    main(sys.argv[1])
