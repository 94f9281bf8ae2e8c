"""Rates of every node model in plain NumPy: per ms, mV, Hz, sharing no code with the package."""

import numpy as np


def logistic(x):
    return 1 / (1 + np.exp(-x))


def LinearStep(s, d, gamma):
    return (gamma * s[0] + d[0],)


def HopfStep(s, d, a, w, beta):
    x, y = s
    r = x * x + y * y
    return (a - beta * r) * x - w * y + d[0], (a - beta * r) * y + w * x + d[1]


def Generic2dOscillatorStep(s, d, a, b, c, d_, e, f, g, alpha, beta, gamma, I, tau):
    V, W = s
    dV = d_ * tau * (-f * V**3 + e * V**2 + g * V + alpha * W + gamma * I + gamma * d[0]) + d[1]
    return dV, d_ / tau * (a + b * V + c * V**2 - beta * W) + d[2]


def KuramotoStep(s, d, omega):
    return (omega + d[0] + 0 * s[0],)


def FitzHughNagumoStep(s, d, alpha, beta, gamma, delta, epsilon, tau):
    V, w = s
    return -alpha * V**3 + beta * V**2 + gamma * V - w + d[0], (V - delta - epsilon * w) / tau + d[1]


def WilsonCowanStep(s, d, tau_E, a_E, theta_E, tau_I, a_I, theta_I, wEE, wIE, wEI, wII, r):
    E, I = s

    def F(x, a, theta):
        return logistic(a * (x - theta)) - logistic(-a * theta)

    dE = (-E + (1 - r * E) * F(wEE * E - wIE * I + d[0], a_E, theta_E)) / tau_E
    dI = (-I + (1 - r * I) * F(wEI * E - wII * I + d[1], a_I, theta_I)) / tau_I
    return dE, dI


def JansenRitStep(s, d, Ae, Ai, be, bi, C, a1, a2, a3, a4, s_max, v0, r):
    M, E, I, Mv, Ev, Iv = s  # velocities in mV/s, rates per ms

    def S(v):
        return s_max * logistic(r * (v - v0))

    aM = Ae * be * S(E - I + d[0]) - 2 * be * Mv - be**2 * M
    aE = Ae * be * (d[1] + C * a2 * S(C * a1 * M)) - 2 * be * Ev - be**2 * E
    aI = Ai * bi * C * a4 * S(C * a3 * M + d[2]) - 2 * bi * Iv - bi**2 * I
    return tuple(1e-3 * rate for rate in (Mv, Ev, Iv, aM, aE, aI))


def MontbrioPazoRoxinStep(s, d, tau, eta, delta, J):
    r, v = s  # r and delta in Hz
    dr = delta / (np.pi * tau) + 2 * r * v / tau + d[0]
    x = 1e-3 * r * tau
    return dr, (v**2 + eta + J * x - (np.pi * x) ** 2 + d[1]) / tau


def ReducedWongWangStep(s, d, a, b, d_, gamma, tau_s, w, J_N, I_o):
    x = a * (w * J_N * s[0] + I_o + J_N * d[0] + d[1]) - b
    return (-s[0] / tau_s + (1 - s[0]) * gamma * x / (1 - np.exp(-d_ * x)) + d[2],)
