"""Let every name under which a user may import a thing lead to its one page, here and through intersphinx."""

import importlib
import inspect

from sphinx.domains.python import ObjectEntry

PACKAGE = "brainmass_delays"


def public_names() -> dict[str, object]:
    """Return what the package and its public namespaces export, by full names."""
    package = importlib.import_module(PACKAGE)
    names = {f"{PACKAGE}.{name}": getattr(package, name) for name in package.__all__}
    spaces = {name: part for name, part in names.items() if inspect.ismodule(part)}
    spaces |= {f"{PACKAGE}.{name}": getattr(package, name) for name in ("nodes", "couplings")}
    for space, module in spaces.items():
        names |= {f"{space}.{name}": getattr(module, name) for name in module.__all__}
    return names


def resolve(name: str):
    """Return what a documented name stands for, or None."""
    owner, _, last = name.rpartition(".")
    try:
        return getattr(importlib.import_module(owner), last) if owner else importlib.import_module(last)
    except (ImportError, AttributeError):
        return None


def add_aliases(app, env):
    """Register the names that have no page of their own as aliases of those that have."""
    domain = env.domains.python_domain
    pages = {id(resolve(name)): (name, entry) for name, entry in domain.objects.items()}
    for name, part in public_names().items():
        if name not in domain.objects and id(part) in pages:
            documented, page = pages[id(part)]
            domain.objects[name] = ObjectEntry(page.docname, page.node_id, page.objtype, aliased=True)
            if page.objtype == "module":
                domain.modules[name] = domain.modules[documented]


def skip(app, what, name, obj, skipped, options):
    """Leave out the fields of a NamedTuple: its docstring says what they are."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app):
    """Register with Sphinx."""
    app.connect("autodoc-skip-member", skip)
    app.connect("env-check-consistency", add_aliases)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
