"""Keys of random numbers, typed ones and plain numbers."""

from typing import Any

import jax


def is_key(value: Any) -> bool:
    """Tell whether ``value`` is a typed key."""
    return hasattr(value, "dtype") and jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)


def key_data(value: Any) -> Any:
    """Return a typed key as plain numbers, and anything else as it is."""
    return jax.random.key_data(value) if is_key(value) else value
