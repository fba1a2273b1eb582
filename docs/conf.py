"""Sphinx configuration: ``sphinx-build -W --keep-going -n docs docs/_build/html``."""

import os
import re
import tomllib
import warnings
from pathlib import Path

# The docs are also built where no GPU and no display is.
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = Path(__file__).parents[1]
with open(ROOT / "pyproject.toml", "rb") as file:
    release = tomllib.load(file)["project"]["version"]

project = "skastro"
author = "skastro developers"
project_copyright = f"2026, {author}"
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "numpydoc",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
default_role = "code"

# Links to other projects need the network, which a build must not: ask for them.
if os.environ.get("SKASTRO_DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "scipy": ("https://docs.scipy.org/doc/scipy", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
        "matplotlib": ("https://matplotlib.org/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
    }
nitpick_ignore_regex = [
    (r"py:.*", r"(sklearn|torch|numpy|scipy|skorch|astropy|matplotlib|pandas)\..*"),
]

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_validation_checks = set()

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "abort_on_example_error": True,
    "capture_repr": (),
    "show_memory": False,
    "plot_gallery": os.environ.get("SKASTRO_DOCS_GALLERY", "1") == "1",
    "remove_config_comments": True,
    # examples at a time, each in a process of its own
    "parallel": 2,
}
warnings.filterwarnings("ignore", message=".*FigureCanvasAgg is non-interactive.*")

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_title = "skastro"
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "logo": {"text": "skastro"},
}


def plain_references(app, what, name, obj, options, lines):
    """Methods inherited from scikit-learn refer to labels of its own documentation: their text stays."""
    if getattr(obj, "__module__", "").startswith("sklearn."):
        for i, line in enumerate(lines):
            line = re.sub(r":ref:`([^`<]+?)\s*<[^`>]+>`", r"\1", line)
            lines[i] = re.sub(r":ref:`([^`<]+)`", r"\1", line)


def setup(app):
    # before numpydoc, which joins and wraps lines
    app.connect("autodoc-process-docstring", plain_references, priority=1)
