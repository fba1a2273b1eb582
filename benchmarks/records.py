"""How a benchmark is written down: its figures, and the machine and versions that gave them."""

import csv
import os
import platform
from importlib.metadata import version
from pathlib import Path

from skastro.files import replacing

__all__ = ["RESULTS", "verdict", "write_csv"]

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "scipy", "scikit-learn", "skorch", "torch")


def processor():
    """Name of the processor, as well as it can be found."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_csv(path, rows, **circumstances):
    """Write rows (dicts with the same keys), with columns for the machine and the versions.

    Parameters
    ----------
    path : Path
    rows : list of dict
    circumstances : str or int
        Further columns with one value, such as ``threads=1``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    versions = [f"python {platform.python_version()}", *(f"{p} {version(p)}" for p in PACKAGES)]
    same = {
        **circumstances,
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()}",
        "versions": ", ".join(versions),
    }
    with replacing(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], *same], lineterminator="\n")
        writer.writeheader()
        for row in rows:
            shown = {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(shown | same)
    print(f"wrote {path}")


def verdict(passed):
    return "PASS" if passed else "FAIL"
