"""Solve the Mackey-Glass equation to tolerance and find its delay from data.

``u' = 0.2 u(t - tau) / (1 + u(t - tau)^10) - 0.1 u`` oscillates, and from tau = 17 on it is chaotic. The
solver chooses its own steps, lands on the kinks that the constant history sends into the future (tau, 2 tau,
...), and its result has an exact derivative in tau. So a delay can be fitted like any other parameter.
"""

import brainstate
import jax
import jax.numpy as jnp
import optax

from brainmass_delays.integrate import solve_dde

brainstate.environ.set(precision=64)

TIMES = jnp.linspace(10.0, 90.0, 41)


def mackey_glass(t, y, delayed, args):
    """Production that depends on the past, and decay."""
    return 0.2 * delayed / (1 + delayed**10) - 0.1 * y


def trajectory(delay, tolerance=1e-8):
    """Return the solution at TIMES and the number of evaluations."""
    solution = solve_dde(
        mackey_glass,
        1.2,
        0.0,
        90.0,
        delay,
        max_delay=25.0,
        rtol=tolerance,
        atol=tolerance,
        save_at=TIMES,
        max_steps=1024,
        while_loop="checkpointed",
    )
    return solution.ys, solution.statistics.evaluations


def main():
    """Print the cost of accuracy, check one gradient, fit the delay."""
    solve = jax.jit(trajectory)
    exact, _ = solve(17.0, 1e-11)
    print("tolerance   largest error   evaluations")
    for tolerance in (1e-3, 1e-5, 1e-7, 1e-9):
        states, evaluations = solve(17.0, tolerance)
        print(f"{tolerance:9.0e}   {jnp.abs(states - exact).max():13.1e}   {evaluations:11d}")

    loss = jax.jit(lambda delay: jnp.mean((trajectory(delay)[0] - exact) ** 2))
    slope = jax.jit(jax.value_and_grad(lambda delay: jnp.mean((trajectory(delay)[0] - exact) ** 2)))
    difference = (loss(15.001) - loss(14.999)) / 0.002
    print(f"\nd loss / d delay at 15: {slope(15.0)[1]:.8f}, by differences {difference:.8f}")

    optimizer = optax.adam(optax.exponential_decay(0.3, 15, 0.5))
    delay = jnp.asarray(15.0)
    state = optimizer.init(delay)
    for step in range(91):
        value, gradient = slope(delay)
        if step % 15 == 0:
            print(f"step {step:2d}: delay {delay:.4f}, loss {value:.2e}")
        updates, state = optimizer.update(gradient, state)
        delay = optax.apply_updates(delay, updates)
    assert abs(delay - 17.0) < 0.1, "the delay was not recovered"


if __name__ == "__main__":
    main()
