"""Offer every page that runs as the notebook that was run."""

import shutil
from pathlib import Path

FOLDER = "_notebooks"


def executed(app) -> Path:
    """Return the folder where MyST-NB leaves notebooks with their outputs."""
    return Path(app.outdir).parent / "jupyter_execute"


def offer(app, pagename, templatename, context, doctree):
    """Tell the template of a page where its notebook is."""
    if (executed(app) / f"{pagename}.ipynb").exists():
        context["notebook"] = f"{FOLDER}/{pagename}.ipynb"


def copy(app, exception):
    """Put the notebooks beside the pages."""
    if exception is None and app.builder.format == "html" and executed(app).is_dir():
        shutil.copytree(executed(app), Path(app.outdir) / FOLDER, dirs_exist_ok=True)


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", offer)
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
