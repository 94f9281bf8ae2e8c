"""Configuration of Sphinx: pages in MyST, code cells executed at every build."""

import tomllib
from pathlib import Path

project = "brainmass_delays"
author = "the brainmass_delays developers"
copyright = f"2026, {author}"
settings = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())
version = release = settings["project"]["version"]

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "jupyter_execute", "**.ipynb_checkpoints"]
myst_enable_extensions = ["dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

nb_execution_mode = "cache"
nb_execution_timeout = 900
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True

html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_title = "brainmass_delays"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
html_show_sourcelink = False
