"""Configuration of Sphinx: pages in MyST, code cells executed at every build."""

import os
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

os.environ.pop("MPLBACKEND", None)  # cells show their figures, also where tests must not
# Bars of text are meant: a page has no widgets.
os.environ.setdefault("PYTHONWARNINGS", "ignore:IProgress not found")

project = "brainmass_delays"
author = "the brainmass_delays developers"
copyright = f"2026, {author}"
settings = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
version = release = settings["project"]["version"]

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "folded_tracebacks",
    "notebook_downloads",
    "public_names",
]
exclude_patterns = ["_build", "_extensions", "jupyter_execute", "**.ipynb_checkpoints"]
templates_path = ["_templates"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
# A notebook that is not executed has no language; References of a docstring are a list, no footnotes.
suppress_warnings = ["mystnb.unknown_mime_type", "myst-nb.lexer", "ref.footnote"]
# Names that differ by their case only would share a file where the file system knows no case.
autosummary_filename_map = {
    "brainmass_delays.spiking.saturation": "brainmass_delays.spiking.saturation-function"
}
# Types are written for people: their words are no cross-references.
default_role = "py:obj"  # what docstrings write as `Network` leads to its page
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]
autodoc_typehints = "none"  # the docstring says more
python_maximum_signature_line_length = 88

nb_execution_mode = "cache"
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_title = f"brainmass_delays {release}"
html_sidebars = {"**": ["contents.html"]}
html_theme_options = {
    "article_header_end": ["notebook.html"],
    "footer_end": [],
    "footer_start": ["copyright"],
    "header_links_before_dropdown": 7,
    "navigation_with_keys": False,
    "show_toc_level": 2,
}
html_show_sourcelink = False
