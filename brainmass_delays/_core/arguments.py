"""Rules of arguments, stated beside a signature and checked before its body runs."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import brainunit as u
import jax
import numpy as np

from .checks import ArgumentError, check_choice, check_count, check_flag, check_unmasked, misspelled
from .units import magnitude

Rule = Callable[[str, Any], Any]

flag: Rule = check_flag


F = TypeVar("F", bound=Callable)


def checked(owner: str | None = None, **rules: Rule) -> Callable[[F], F]:
    """Check arguments by name before a function is called.

    Parameters
    ----------
    owner : str, optional
        What messages call the function. Default: its name, or that of the class that is made.
    **rules : callable
        By argument, ``rule(where, value)``, which raises `ArgumentError`; arguments that are left out are not
        checked, so defaults may be anything.

    Examples
    --------
    >>> from brainmass_delays._core.arguments import checked, count
    >>> @checked(n=count(2))
    ... def double(n):
    ...     return 2 * n
    >>> double(1)
    Traceback (most recent call last):
    brainmass_delays._core.checks.ArgumentError: double.n: must be a whole number of at least 2; got 1.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        if unknown := set(rules) - set(signature.parameters):
            raise TypeError(f"{function.__qualname__} has no arguments {sorted(unknown)}")
        is_init = function.__name__ == "__init__" and owner is None

        @functools.wraps(function)
        def call(*args, **kwargs):
            try:
                given = signature.bind(*args, **kwargs).arguments
            except TypeError as error:
                cure = misspelled(signature, kwargs)
                raise TypeError(f"{_spelled(function, signature)}: {error}{cure}") from None
            name = type(args[0]).__name__ if is_init else owner or function.__name__
            for argument, rule in rules.items():
                if argument in given:
                    rule(f"{name}.{argument}", given[argument])
            return function(*args, **kwargs)

        return cast(F, call)

    return decorate


def _spelled(function: Callable, signature: inspect.Signature) -> str:
    """Return how a function is called: its name and those of its arguments."""
    bare = [p.replace(annotation=p.empty, default=p.empty) for p in signature.parameters.values()]
    name = function.__qualname__.removesuffix(".__init__")
    return f"{name}({', '.join(_stars(bare))})"


def _stars(parameters: list[inspect.Parameter]) -> Iterable[str]:
    """Yield arguments as in a signature, with the star before those by name only."""
    starred = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            yield "*"
        yield str(parameter)


def optional(rule: Rule) -> Rule:
    """Return a rule that lets None pass."""
    return lambda where, value: None if value is None else rule(where, value)


def count(minimum: int = 1) -> Rule:
    """Return the rule of whole numbers of at least ``minimum``, known before tracing."""
    return lambda where, value: check_count(where, value, minimum)


def choice(*choices: str) -> Rule:
    """Return the rule of one of several names."""
    return lambda where, value: check_choice(where, value, choices)


def function(where: str, value: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(value):
        raise ArgumentError(where, "must be callable", _short(value))


def takes(function: Callable, n_arguments: int, *, unsaid: bool = True) -> bool:
    """Tell whether ``function`` can be called with that many arguments by position; ``unsaid`` if unknown."""
    try:
        inspect.signature(function).bind(*[None] * n_arguments)
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return unsaid
    return True


def function_of(names: str) -> Rule:
    """Return the rule of functions of the arguments that ``names`` lists, as in ``'t, y, args'``."""
    count = names.count(",") + 1

    def rule(where, value):
        function(where, value)
        if not takes(value, count):
            got = f"a function {inspect.signature(value)}"
            raise ArgumentError(where, f"must be a function of ({names})", got)

    return rule


def returned(where: str, value: Any) -> Any:
    """Return what a function of the user gave back, if it is an array or a number."""
    try:
        numbers(is_complex=True)(where, value)
    except ArgumentError:
        cure = "Add a return" if value is None else ""
        raise ArgumentError(where, "must return a number or an array", _short(value), cure) from None
    return value


def if_function(names: str) -> Rule:
    """Return the rule of what may be a function of the arguments that ``names`` lists, or no function."""
    return lambda where, value: function_of(names)(where, value) if callable(value) else None


def instance(kinds: type | tuple[type, ...], what: str, cure: str = "") -> Rule:
    """Return the rule of objects of some classes, which messages call ``what``."""

    def rule(where, value):
        if not isinstance(value, kinds):
            raise ArgumentError(where, f"must be {what}", _short(value), cure)

    return rule


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """The rule of an array of numbers, or of one; `numbers` makes it.

    Parameters
    ----------
    finite : bool, optional
        Refuse NaN and infinity where the numbers are known.
    unit : Unit, optional
        Refuse other dimensions; plain numbers pass. A plain unit refuses quantities.
    scalar, ndim, axes : bool, int, pair of int, optional
        One number; an array of so many axes; fewest and most axes.
    is_complex, traced : bool, optional
        Whether complex numbers, and those inside a trace, pass.
    low, high, above : float, optional
        Bounds of every number, the last one exclusive.
    """

    finite: bool = False
    unit: u.Unit | None = None
    scalar: bool = False
    is_complex: bool = False
    traced: bool = True
    low: float | None = None
    high: float | None = None
    above: float | None = None
    ndim: int | None = None
    axes: tuple[int, int] = (0, 32)

    def __call__(self, where: str, value: Any) -> None:
        """Refuse what breaks the rule."""
        plain = self._plain(where, value)
        shape, kind = _shape_and_kind(where, plain, "a number" if self.scalar else "numbers")
        if kind == "c" and not self.is_complex:
            raise ArgumentError(where, "must be real", f"complex numbers, {_short(value)}")
        if kind not in "biufc":
            what = "a real number" if self.scalar else "a number, or an array of real numbers"
            raise ArgumentError(where, f"must be {what}", _short(value))
        self._check_shape(where, shape)
        if not isinstance(plain, jax.core.Tracer):
            self._check_values(where, plain)
        elif not self.traced:
            raise ArgumentError(where, "must be known before tracing", "a traced value")

    def _plain(self, where, value):
        """Return the numbers without their unit."""
        if self.unit is not None and self.unit.is_unitless and not u.get_unit(value).is_unitless:
            raise ArgumentError(where, "must be plain numbers without a unit", u.get_unit(value))
        value = value if self.unit is None else magnitude(where, value, self.unit)
        return u.get_magnitude(value) if isinstance(value, u.Quantity) else value

    def _check_shape(self, where, shape):
        rule = None
        if self.scalar and shape:
            rule = "must be one number"
        elif self.ndim is not None and len(shape) != self.ndim:
            rule = f"must have {self.ndim} axes"
        elif not self.axes[0] <= len(shape) <= self.axes[1]:
            rule = f"must have {self.axes[0]} to {self.axes[1]} axes"
        elif 0 in shape:
            rule = "must hold at least one number"
        if rule:
            raise ArgumentError(where, rule, f"shape {shape}")

    def _check_values(self, where, plain):
        if self.finite:
            _check_finite(where, np.asarray(plain))
        positive = "must be positive" if self.above == 0 else f"must be above {self.above}"
        for bound, holds, rule in (
            (self.low, np.greater_equal, f"must be at least {self.low}"),
            (self.high, np.less_equal, f"must be at most {self.high}"),
            (self.above, np.greater, positive),
        ):
            if bound is not None and not np.all(holds(array := np.asarray(plain), bound)):
                raise ArgumentError(where, rule, array[~holds(array, bound)].flat[0] if array.ndim else array)


numbers = Numbers


def tree_of_numbers(where: str, value: Any) -> None:
    """Refuse pytrees that hold no numbers, or anything else."""
    leaves = jax.tree.leaves(value)
    if not leaves:
        raise ArgumentError(where, "must hold at least one number", _short(value))
    for leaf in leaves:
        _, kind = _shape_and_kind(
            where, u.get_magnitude(leaf) if isinstance(leaf, u.Quantity) else leaf, "arrays"
        )
        if kind not in "biufc":
            raise ArgumentError(where, "must hold arrays of numbers", _short(leaf))


def time(where: str, value: Any) -> None:
    """Refuse all but one positive, finite time with a unit."""
    number = magnitude(where, value, u.ms, plain=False)
    if isinstance(number, jax.core.Tracer):
        raise ArgumentError(where, "must be known before tracing", "a traced value")
    if np.ndim(number):
        raise ArgumentError(where, "must be one time", f"shape {np.shape(number)}")
    if not np.isfinite(number) or np.iscomplexobj(number):
        raise ArgumentError(where, "must be finite", f"{number} ms")
    if number <= 0:
        raise ArgumentError(where, "must be positive", f"{number} ms")


def names(where: str, value: Any) -> None:
    """Refuse all but a sequence of texts."""
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(item, str) for item in listed):
        raise ArgumentError(where, "must be a sequence of texts", _short(value))


def mapping(where: str, value: Any) -> None:
    """Refuse all but a dict with texts as keys."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ArgumentError(where, "must be a dict by name", _short(value))


def text(where: str, value: Any) -> None:
    """Refuse what is no text."""
    if not isinstance(value, str):
        raise ArgumentError(where, "must be a text", _short(value))


def each(rule: Rule, kinds: type | tuple[type, ...] = (list, tuple)) -> Rule:
    """Return the rule of a sequence whose items obey another."""

    def check(where, value):
        try:
            is_right = isinstance(value, kinds) and len(value) > 0
        except TypeError:  # a number, also one of JAX, whose class has a length
            is_right = False
        if not is_right or isinstance(value, str | bytes | Mapping):
            raise ArgumentError(where, "must be a sequence that is not empty", _short(value))
        for i, item in enumerate(value):
            rule(f"{where}[{i}]", item)

    return check


def any_of(what: str, *rules: Rule) -> Rule:
    """Return the rule of what obeys at least one of several."""

    def check(where, value):
        for rule in rules:
            try:
                return rule(where, value)
            except ArgumentError:
                continue
        raise ArgumentError(where, f"must be {what}", _short(value))

    return check


def _shape_and_kind(where: str, value: Any, what: str) -> tuple[tuple[int, ...], str]:
    """Return shape and kind of an array; what is none has the kind of an object."""
    check_unmasked(where, value)
    if isinstance(value, jax.Array | np.ndarray):
        if jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended):  # a key of random numbers
            return value.shape, "O"
        return value.shape, "f" if value.dtype.name == "bfloat16" else value.dtype.kind
    try:
        array = np.asarray(
            value if not isinstance(value, Iterable) or isinstance(value, str | bytes) else list(value)
        )
    except (ValueError, TypeError):
        raise ArgumentError(where, f"must be {what}", _short(value)) from None
    if array.dtype.kind == "O" and isinstance(
        value, list | tuple
    ):  # a list may hold arrays of JAX or Quantities
        leaves = jax.tree.leaves(value)
        if leaves and all(isinstance(leaf, jax.Array) for leaf in leaves):
            return array.shape, "f"
    return array.shape, array.dtype.kind


def _check_finite(where: str, array: np.ndarray) -> None:
    """Refuse NaN and infinity."""
    if not np.all(np.isfinite(array)):
        position = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ArgumentError(
            where, "must be finite", f"{array[position]}" + (f" at {position}" if position else "")
        )


def _short(value: Any) -> str:
    """Return a value, or what it is, in few words."""
    if isinstance(value, jax.core.Tracer):
        return "a traced value"
    if isinstance(value, np.ndarray | jax.Array) and value.ndim:
        return f"an array of {value.dtype}, shape {value.shape}"
    spelled = repr(value)
    return spelled if len(spelled) <= 80 else f"{type(value).__name__} {spelled[:60]}..."
