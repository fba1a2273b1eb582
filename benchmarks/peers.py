"""The environments of the peers that the benchmarks measure against, and a way to talk to one.

A peer is installed once, in an environment of its own: its requirements are not ours (nnbma wants
numpy below 2, bm4d below 2.4). They stand in ~/.cache/skastro/peers, or in the folder named by SKASTRO_PEERS.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np

__all__ = ["PEERS", "Worker", "environment", "installed"]

HERE = Path(__file__).parent
PEERS = {
    "nnbma": ["torch", "nnbma==1.0.2"],
    "bm4d": ["bm4d==4.2.5", "numpy==2.3.5", "scipy", "PyWavelets"],
    "scattering": [
        "torch",
        "kymatio==0.3.0",
        "pywph==1.1.3",
        "numpy==2.2.6",
        "scipy==1.16.3",
        "matplotlib",
    ],
}


def _pinned(requirement):
    """A bare name gets the version of constraints.txt."""
    if "==" in requirement:
        return requirement
    pins = (HERE.parent / "constraints.txt").read_text(encoding="utf-8")
    return re.search(rf"^{requirement}==\S+", pins, flags=re.MULTILINE)[0]


def _folder(name):
    root = Path(os.environ.get("SKASTRO_PEERS", "~/.cache/skastro/peers")).expanduser()
    return root / name


def _wanted(name):
    return "\n".join(map(_pinned, PEERS[name])) + "\n"


def installed(name):
    """Whether the environment of a peer stands, with the versions that are wanted now."""
    # written last: an installation that was broken off is begun anew
    done = _folder(name) / "installed.txt"
    return done.exists() and done.read_text(encoding="utf-8") == _wanted(name)


def environment(name):
    """Path of the Python of a peer; its environment is made at the first call.

    Parameters
    ----------
    name : str
        A key of `PEERS`, or "skastro": this environment itself.
    """
    if name == "skastro":
        return sys.executable
    folder, wanted = _folder(name), _wanted(name)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if installed(name):
        return python
    print(f"installing {' '.join(wanted.split())} into {folder}, once ...", file=sys.stderr)
    venv.create(folder, clear=True, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "-qq", *wanted.split()], check=True)
    (folder / "installed.txt").write_text(wanted, encoding="utf-8")
    return python


class Worker:
    """A script that runs in the environment of a peer and answers one request at a time.

    Requests and answers are lines of JSON on its standard input and output; arrays travel as .npz
    files in a temporary folder. It sleeps between requests, so that two sides can be timed in turns.

    Parameters
    ----------
    script : str
        File beside this one.
    peer : str
        A key of `PEERS`, or "skastro".
    threads : int
        Threads that the worker may use.
    variables : dict of str, optional
        Further variables of its environment.
    """

    def __init__(self, script, peer, threads, variables=None):
        self._folder = tempfile.TemporaryDirectory(prefix="skastro-peer-")
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        self._process = subprocess.Popen(
            [environment(peer), HERE / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | limits | {"PYTHONWARNINGS": "ignore"} | (variables or {}),
        )

    def ask(self, do, arrays=None, **options):
        """Send a request; returns the answer, a dict, its "arrays" read if it has any."""
        folder = Path(self._folder.name)
        if arrays is not None:
            np.savez(folder / "in.npz", **arrays)
        request = {"do": do, "folder": str(folder), **options}
        line = ""
        with contextlib.suppress(BrokenPipeError):  # it has ended: said below
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with code {self._process.wait()} at {do!r}.")
        answer = json.loads(line)
        if answer.pop("wrote", False):
            with np.load(folder / "out.npz") as stored:
                answer["arrays"] = dict(stored)
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait(timeout=600):
            print(f"the worker ended with code {self._process.returncode}.", file=sys.stderr)
        self._process.stdout.close()
        self._folder.cleanup()
