"""Programs are compared by what they compute, derivative rules included."""

import jax
import jax.numpy as jnp

from brainmass_delays.engine.programs import fingerprint


def sine(factor):
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def rule(primals, tangents):  # calls the function that it belongs to, as most rules do
        return f(*primals), factor * jnp.cos(primals[0]) * tangents[0]

    return f


def program(f):
    return fingerprint(jax.make_jaxpr(lambda x: f(x) + 1)(1.0))


def test_a_rule_that_calls_its_own_function_can_be_compared():
    f = sine(1.0)
    assert program(f) == program(f) == program(sine(1.0))


def test_functions_that_differ_in_their_rule_differ():
    assert program(sine(1.0)) != program(sine(2.0))
    assert program(sine(1.0)) != program(jnp.sin)


def test_a_rule_within_a_rule_counts():
    def outer(inner):
        @jax.custom_jvp
        def g(x):
            return jnp.cos(x)

        g.defjvp(lambda primals, tangents: (g(*primals), -inner(primals[0]) * tangents[0]))
        return g

    assert program(outer(sine(1.0))) == program(outer(sine(1.0)))
    assert program(outer(sine(1.0))) != program(outer(sine(2.0)))


def test_rules_of_rules_count_although_the_functions_look_alike():
    """Both are made by one line and compute the same: only the second derivative tells them apart."""

    def double(factor, inner=None):
        f = jax.custom_jvp(lambda x: 2 * x)
        slope = (lambda x: factor) if inner is None else inner
        f.defjvp(lambda primals, tangents: (2 * primals[0], slope(primals[0]) * tangents[0]))
        return f

    assert program(double(1.0, double(2.0))) == program(double(1.0, double(2.0)))
    assert program(double(1.0, double(2.0))) != program(double(1.0, double(7.0)))
    assert program(double(1.0, double(1.0, double(2.0)))) != program(double(1.0, double(1.0, double(7.0))))
