"""What the constant command line on a host runs first: reads the agent's files from stdin and imports them from memory.

This file has to be valid in every Python since 3.4, which knows the options we start it with, so that one that is too
old can say so instead of showing a traceback. `start.first_line` sends it as one line that ends in a call of `start`.
"""

import os
import sys

OLDEST = (3, 11)  # the agent runs on the Python of the ranks, and garfield needs this one


def start(nonce, mode, size):
    """Read `size` bytes of compressed sources from stdin and run `mode`; `nonce` marks where our output begins.

    The marker comes after whatever the host's login shell prints. It ends in "ok", or in "old" and the version.
    """
    if sys.version_info[:2] < OLDEST:
        say("garfield-" + nonce + " old " + ".".join(str(part) for part in sys.version_info[:3]))
        return
    import json
    import zlib

    blob = b""
    while len(blob) < size:
        part = os.read(0, size - len(blob))
        if not part:
            return
        blob += part
    sources = json.loads(zlib.decompress(blob))
    sys.meta_path.insert(0, Sources(sources))
    if mode != "warm":
        say("garfield-" + nonce + " ok")
    import importlib

    importlib.import_module("garfield_agent." + mode).main(blob)


def say(text):
    """Write `text` as one line of its own to stdout."""
    os.write(1, ("\n" + text + "\n").encode())


class Sources:
    """Finds and loads the modules of the package `garfield_agent` from a dict of their sources."""

    def __init__(self, sources):
        self.sources = sources

    def find_spec(self, name, path=None, target=None):
        package, _, module = name.partition(".")
        if package != "garfield_agent" or (module and module not in self.sources):
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, self, is_package=not module)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        name = module.__name__.partition(".")[2] or "__init__"
        exec(compile(self.get_source(module.__name__), "<agent " + name + ">", "exec"), module.__dict__)

    def get_source(self, name):
        return self.sources[name.partition(".")[2] or "__init__"]
