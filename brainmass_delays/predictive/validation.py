"""Checks of what users hand to the energies: numbers of entries, shapes, labels."""

import jax
import jax.numpy as jnp
import numpy as np

from brainmass_delays._core.checks import ArgumentError
from brainmass_delays._core.status import is_traced

from .prediction import unchecked


def check_labels(where: str, y, loss_id: str) -> None:
    """Refuse labels that are not one-hot if the loss is 'CE' and their values are known."""
    if loss_id != "CE" or y is None or is_traced(y):
        return
    labels = np.asarray(y)
    if labels.ndim < 2:
        raise ArgumentError(
            f"{where}.y",
            "must hold one-hot labels (batch, class) for loss_id='CE'",
            f"the shape {labels.shape}",
            "Use jax.nn.one_hot(labels, n_classes)",
        )
    right = np.all((labels == 0) | (labels == 1), axis=-1) & (labels.sum(-1) == 1)
    if not right.all():
        row = int(np.argwhere(~right.reshape(len(right), -1).all(-1))[0, 0])
        raise ArgumentError(
            f"{where}.y",
            "must hold one-hot labels for loss_id='CE'",
            f"{labels[row]} at sample {row}",
            "Use jax.nn.one_hot(labels, n_classes)",
        )


def inputs_and_targets(activities, y, x, n_layers: int, where: str = "pc_energy.activities"):
    """Return what the layers read, ``[z_0, ..., z_{L-1}]``, and predict, ``[z_1, ..., z_{L-1}, y]``."""
    if y is None:
        raise ArgumentError(f"{where.split('.')[0]}.y", "must hold the observation", "None")
    n_entries, free = len(activities), x is None
    if n_entries != n_layers + free:
        span = "z_0 to z_L without x" if free else "z_1 to z_L with x"
        cure = {(True, n_layers): "Pass x, or add z_0 in front", (False, n_layers + 1): "Drop z_0, or x"}
        raise ArgumentError(
            where,
            f"must hold {n_layers + free} entries, {span}, for {n_layers} layers",
            f"{n_entries} entries",
            cure.get((free, n_entries), "The last entry is the inert place of the prediction"),
        )
    hidden = activities[:-1]
    return (hidden, [*hidden[1:], y]) if free else ([x, *hidden], [*hidden, y])


def hybrid_inputs_and_targets(model, equilib_activities, amort_activities, x, y):
    """Return what each amortizer layer reads and what it should predict, after checking every entry."""
    where, n_layers = "hpc_energy", len(model)
    _check_length(
        f"{where}.amort_activities",
        amort_activities,
        [n_layers + 1],
        "init_activities_with_amort returns one entry per layer and an inert one",
    )
    _check_length(
        f"{where}.equilib_activities",
        equilib_activities,
        [n_layers] if y is None else [n_layers - 1, n_layers],
        "Reverse the activities of the generator and drop the inert entry; pass y if it has a prior",
    )
    if x is None:
        raise ArgumentError(f"{where}.x", "must hold the data", "None")
    named = {f"amort_activities[{l}]": z for l, z in enumerate(amort_activities)}
    targets = {f"equilib_activities[{l}]": z for l, z in enumerate(equilib_activities)}
    _check_batch(where, {**named, **targets, "x": x, "y": y}, "x")
    if y is not None:
        targets = {**dict(list(targets.items())[: n_layers - 1]), "y": y}
    inputs = {"x": x, **dict(list(named.items())[-2:0:-1])}
    _check_chain(where, (model, None), inputs, targets)
    return list(inputs.values()), list(targets.values())


def check_network(params, activities, y, x):
    """Refuse batches of different size and layers that do not fit what they read or predict."""
    where = "pc_energy"
    named = {f"activities[{l}]": z for l, z in enumerate(activities)}
    _check_batch(where, {**named, "x": x, "y": y}, "y")
    hidden = dict(list(named.items())[:-1])
    below = {} if x is None else {"x": x}
    above = dict(list(hidden.items())[x is None :])
    _check_chain(where, params, {**below, **hidden}, {**above, "y": y})


def check_backward(backward, below, above):
    """Refuse backward layers that do not map each level to the one below it."""
    levels = {f"level {l + 1}": z for l, z in enumerate(above)}
    targets = {f"level {l}": z for l, z in enumerate(below)}
    _check_chain("bpc_energy", (backward, None), levels, targets, part=1)


def _check_length(where: str, entries, expected, cure: str) -> None:
    """Refuse a list whose length is not among ``expected``."""
    if len(entries) not in expected:
        raise ArgumentError(where, f"must hold {' or '.join(map(str, expected))} entries", len(entries), cure)


def _check_batch(where: str, entries: dict, reference: str) -> None:
    """Refuse entries whose leading axis differs from that of the entry ``reference``; None is no entry."""
    arrays = {name: value for name, value in entries.items() if value is not None}
    for name, value in arrays.items():
        if jnp.ndim(value) < 1:
            raise ArgumentError(f"{where}.{name}", "must have a leading batch axis", "a scalar")
    sizes = {name: value.shape[0] for name, value in arrays.items()}
    for name, size in sizes.items():
        if size != sizes[reference]:
            raise ArgumentError(
                f"{where}.{name}", f"must have the batch size of {reference}, {sizes[reference]}", size
            )


def _check_chain(where: str, params, inputs: dict, targets: dict, part: int = 0) -> None:
    """Refuse layers that cannot read their input, or do not make the shape of their target."""
    pairs = zip(inputs.items(), targets.items(), strict=True)
    for l, ((source, h), (target, z)) in enumerate(pairs):
        layer = f"{where}.params[{part}][{l}]"
        sample = jax.ShapeDtypeStruct(h.shape[1:], h.dtype)
        try:
            out = jax.eval_shape(lambda h, l=l: unchecked(params, l, h), sample)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                layer,
                f"must map one sample of {source}, shape {sample.shape}",
                f"{type(error).__name__}: {error}",
            ) from error
        if out.shape != z.shape[1:]:
            raise ArgumentError(
                f"{where}.{target}",
                f"must have samples of shape {out.shape}, what params[{part}][{l}] makes of {source}",
                z.shape[1:],
            )
