"""Rates of every node model in plain NumPy: per ms, mV, Hz, sharing no code with the package."""

from pathlib import Path

import numpy as np
from scipy.interpolate import RegularGridInterpolator
from scipy.special import erfc

MADE_UP = np.load(Path(__file__).parents[1] / "golden" / "nodes_neurolib_aln.npz")  # a table for the cascade


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


def StuartLandauStep(s, d, a, f, beta):
    z = s[0] + 1j * s[1]  # rates in Hz
    dz = z * (a + 2j * np.pi * f - beta * abs(z) ** 2) + d[0] + 1j * d[1]
    return 1e-3 * dz.real, 1e-3 * dz.imag


def WongWangExcInhStep(
    s,
    d,
    a_e,
    b_e,
    d_e,
    gamma_e,
    tau_e,
    w_p,
    W_e,
    a_i,
    b_i,
    d_i,
    gamma_i,
    tau_i,
    W_i,
    J_N,
    J_i,
    I_o,
    I_ext,
    G,
    lamda,
):
    def H(x, a, b, d):
        return (a * x - b) / (1 - np.exp(-d * (a * x - b)))

    x_e = w_p * J_N * s[0] - J_i * s[1] + W_e * I_o + G * J_N * d[0] + I_ext + d[3]
    x_i = J_N * s[0] - s[1] + W_i * I_o + lamda * G * J_N * d[0] + d[4]
    dS_e = -s[0] / tau_e + (1 - s[0]) * gamma_e * H(x_e, a_e, b_e, d_e) + d[1]
    return dS_e, -s[1] / tau_i + gamma_i * H(x_i, a_i, b_i, d_i) + d[2]


def permittivity(x1, z, x0, modification):
    linear = 4 * (x1 - x0) - np.where(z < 0, 0.1 * z**7, 0)
    return modification * (x0 + 3 / (1 + np.exp(-10 * (x1 + 0.5)))) + (1 - modification) * linear


def EpileptorStep(s, d, a, b, c, d_, r, x0, Iext, slope, Iext2, tau, aa, bb, Kvf, Kf, Ks, tt, modification):
    x1, y1, z, x2, y2, g = s
    f1 = np.where(x1 < 0, -a * x1**2 + b * x1, slope - x2 + 0.6 * (z - 4) ** 2)
    return (
        tt * (y1 - z + Iext + Kvf * d[0] + f1 * x1) + d[2],
        tt * (c - d_ * x1**2 - y1) + d[5],
        tt * r * (permittivity(x1, z, x0, modification) - z + Ks * d[0]),
        tt * (-y2 + x2 - x2**3 + Iext2 + bb * g - 0.3 * (z - 3.5) + Kf * d[1]) + d[3],
        tt * (-y2 + np.maximum(0, aa * (x2 + 0.25))) / tau + d[4],
        tt * -0.01 * (g - 0.1 * x1),
    )


def Epileptor2DStep(s, d, a, b, c, d_, r, x0, Iext, slope, Kvf, Ks, tt, modification):
    x1, z = s
    f = np.where(x1 < 0, a * x1**2 + (d_ - b) * x1, d_ * x1 - slope - 0.6 * (z - 4) ** 2)
    dz = tt * r * (permittivity(x1, z, x0, modification) - z + Ks * d[0])
    return tt * (c - z + Iext + Kvf * d[0] - x1 * f) + d[1], dz + d[2]


def CoombesByrneStep(s, d, Delta, eta, k, v_syn):
    return CoombesByrne4DStep((*s, k * np.pi * s[0], 0), (*d, 0, 0), Delta, eta, k, v_syn, 0)[:2]


def CoombesByrne4DStep(s, d, Delta, eta, k, v_syn, alpha):
    r, v, g, q = s
    dv = v**2 - np.pi**2 * r**2 + eta + (v_syn - v) * g + d[1]
    dr = Delta / np.pi + 2 * v * r - g * r + d[0]
    return dr, dv, alpha * q + d[2], alpha * (k * np.pi * r - g - 2 * q) + d[3]


def GastSchmidtKnoscheSDStep(s, d, tau, tau_A, alpha, I, Delta, J, eta):
    x = 1e-3 * s[0]  # r in Hz
    return gast(s, d, tau, tau_A, alpha, I, Delta, eta, J * tau * x * (1 - s[2]))


def GastSchmidtKnoscheSFStep(s, d, tau, tau_A, alpha, I, Delta, J, eta):
    return gast(s, d, tau, tau_A, alpha, I, Delta, eta, J * tau * 1e-3 * s[0] - s[2])


def gast(s, d, tau, tau_A, alpha, I, Delta, eta, recurrent):
    r, v, A, B = 1e-3 * s[0], *s[1:]
    dr = 1e3 * (Delta / (np.pi * tau) + 2 * v * r) / tau + d[1]
    dv = (v**2 - (np.pi * tau * r) ** 2 + eta + recurrent + I + d[0]) / tau
    return dr, dv, B / tau_A, (-2 * B - A + alpha * r) / tau_A


def DumontGutkinStep(
    s, d, I_e, Delta_e, eta_e, tau_e, I_i, Delta_i, eta_i, tau_i, tau_s, J_ee, J_ei, J_ie, J_ii, Gamma
):
    r_e, v_e, s_ee, s_ei, r_i, v_i, s_ie, s_ii = s  # rates and synapses in Hz
    k = 1e-3
    I_E = eta_e + I_e + d[1] + k * tau_e * (s_ee - s_ei)
    I_I = eta_i + I_i + d[2] + k * tau_i * (s_ie - s_ii)
    return (
        (Delta_e / (np.pi * tau_e) / k + 2 * v_e * r_e) / tau_e,
        (v_e**2 + I_E - (np.pi * tau_e * k * r_e) ** 2) / tau_e,
        (-s_ee + J_ee * r_e + d[0]) / tau_s,
        (-s_ei + J_ei * r_i) / tau_s,
        (Delta_i / (np.pi * tau_i) / k + 2 * v_i * r_i) / tau_i,
        (v_i**2 + I_I - (np.pi * tau_i * k * r_i) ** 2) / tau_i,
        (-s_ie + J_ie * r_e + Gamma * d[0]) / tau_s,
        (-s_ii + J_ii * r_i) / tau_s,
    )


def LarterBreakspearStep(s, d, **p):
    V, W, Z = s

    def m(x, threshold, width):
        return 0.5 * (1 + np.tanh((x - p[threshold]) / p[width]))

    Q = p["QV_max"] * m(V, "VT", "d_V")
    q = (1 - p["C"]) * p["aee"] * Q + p["C"] * p["aee"] * d[0]
    dV = -(p["gCa"] + p["rNMDA"] * q) * m(V, "TCa", "d_Ca") * (V - p["VCa"]) - p["gK"] * W * (V - p["VK"])
    dV += -p["gL"] * (V - p["VL"]) - (p["gNa"] * m(V, "TNa", "d_Na") + q) * (V - p["VNa"])
    dV += -p["aie"] * Z * p["QZ_max"] * m(Z, "ZT", "d_Z") + p["ane"] * p["Iext"]
    dW = p["phi"] * (m(V, "TK", "d_K") - W) / p["tau_K"]
    dZ = p["b"] * (p["ani"] * p["Iext"] + p["aei"] * V * Q)
    return p["t_scale"] * dV + d[1], p["t_scale"] * dW, p["t_scale"] * dZ


def ZerlautStep(s, d, **p):
    E, I, W_e, W_i = s
    c = np.maximum(d[0], 0)
    dE, dW_e = zerlaut_population(p, "e", "ex", E, I, E, c + d[1], W_e)
    dI, dW_i = zerlaut_population(p, "i", "in", E, I, I, c + d[2], W_i)
    return dE, dI, dW_e, dW_i


def zerlaut_population(p, x, name, E, I, own, external, W):
    fe = (E + 1e-6) * (1 - p["g"]) * p["p_connect_e"] * p["N_tot"]
    fe = fe + (external + p[f"external_input_{name}_ex"]) * p["K_ext_e"]
    fi = (I + 1e-6) * p["g"] * p["p_connect_i"] * p["N_tot"] + p[f"external_input_{name}_in"] * p["K_ext_i"]
    G_e, G_i = p["Q_e"] * p["tau_e"] * fe, p["Q_i"] * p["tau_i"] * fi
    G = G_e + G_i + p["g_L"]
    tau_m = p["C_m"] / G
    mu = (G_e * p["E_e"] + G_i * p["E_i"] + p["g_L"] * p[f"E_L_{x}"] - W) / G
    U = [(p[f"Q_{y}"] / G * (p[f"E_{y}"] - mu) * p[f"tau_{y}"]) ** 2 for y in "ei"]
    var = fe * U[0] / (2 * (p["tau_e"] + tau_m)) + fi * U[1] / (2 * (p["tau_i"] + tau_m))
    tau = (fe * U[0] + fi * U[1]) / (2 * var)
    V, S, T = (mu + 60) / 10, (np.sqrt(var) - 4) / 6, tau * p["g_L"] / p["C_m"] - 0.5
    theta = np.dot(
        [p[f"P_{x}{i}"] for i in range(10)], [1 + 0 * V, V, S, T, V * V, S * S, T * T, V * S, V * T, S * T]
    )
    F = erfc((theta - mu) / np.sqrt(2 * var)) / (2 * tau)
    dW = -W / p[f"tau_w_{x}"] + p[f"b_{x}"] * own + p[f"a_{x}"] * (mu - p[f"E_L_{x}"]) / p[f"tau_w_{x}"]
    return (F - own) / p["T"], dW


def ThalamusStep(s, d, **p):
    V, h = np.array(s[:2]), np.array(s[3:5])
    Ca, m1, m2 = s[2], s[5], s[6]
    S, dS = np.array(s[7:11]), np.array(s[11:15])  # et, gt, er, gr
    Q = p["Q_max"] * logistic(p["C1"] * (V - p["theta"]) / p["sigma"])
    m = np.array([logistic((V[0] + 59) / 6.2), logistic((V[1] + 52) / 7.4)])
    I_T = np.array([p["g_T_t"] * V[0] ** 0, p["g_T_r"] * V[0] ** 0]) * m**2 * h * (V - p["E_Ca"])
    I_h = np.array([p["g_h"] * (m1 + p["g_inc"] * m2) * (V[0] - p["E_h"]), 0 * V[0]])
    I_syn = p["g_AMPA"] * S[[0, 2]] * (V - p["E_AMPA"]) + p["g_GABA"] * S[[1, 3]] * (V - p["E_GABA"])
    dV = -(p["g_L"] * (V - p["E_L"]) + I_syn + np.array(d[2:4])) / p["tau"]
    dV -= (p["g_LK"] * (V - p["E_K"]) + I_T + I_h) / p["C_m"]
    dCa = p["alpha_Ca"] * I_T[0] - (Ca - p["Ca_0"]) / p["tau_Ca"]
    h_inf = np.array([1 / (1 + np.exp((V[0] + 81) / 4)), 1 / (1 + np.exp((V[1] + 80) / 5))])
    slow = (211.4 + np.exp((V[0] + 115.2) / 5)) / (1 + np.exp((V[0] + 86) / 3.2))
    fast = 1 / (np.exp((V[1] + 48) / 4) + np.exp(-(V[1] + 407) / 50))
    dh = (h_inf - h) / (np.array([30.8 + slow, 85 + fast]) / 3.7371928)
    tau_m = 20 + 1000 / (np.exp((V[0] + 71.5) / 14.2) + np.exp(-(V[0] + 89) / 11.6))
    x = p["k1"] * np.maximum(Ca, 0) ** p["n_P"]
    exchange = p["k3"] * x / (x + p["k2"]) * m1 - p["k4"] * m2
    dm1 = ((1 - m2) / (1 + np.exp((V[0] + 75) / 5.5)) - m1) / tau_m - exchange
    rates = np.array([d[0], p["N_tr"] * Q[1], p["N_rt"] * Q[0] + d[1], p["N_rr"] * Q[1]])
    gamma = np.array([p["gamma_e"], p["gamma_r"]] * 2)[:, None]
    return (*dV, dCa, *dh, dm1, exchange, *dS, *(gamma**2 * (rates - S) - 2 * gamma * dS))


def looked_up(name, mu, sigma):
    """Return one quantity of the made-up table, held at its borders."""
    grid = MADE_UP["table/mu"], MADE_UP["table/sigma"]
    at = [np.clip(x, axis[0], axis[-1]) for x, axis in zip((mu, sigma), grid, strict=True)]
    return RegularGridInterpolator(grid, MADE_UP[f"table/{name}"])(np.stack(at, axis=-1))


def ALNStep(s, d, mue_ext_mean, mui_ext_mean, sigmae_ext, sigmai_ext, c_gl, Ke_gl, Ke, Ki, tau_se, tau_si, cee, cie,
            cei, cii, Jee_max, Jie_max, Jei_max, Jii_max, a, b, EA, tauA, C, gL):  # fmt: skip
    mu_e, mu_i, IA, *synapses, sigma_e, sigma_i = s
    at_e, at_i = (mu_e - IA / C, sigma_e), (mu_i, sigma_i)
    pairs = [  # target, c, K, J, tau, the rate of the source
        ("e", cee, Ke, Jee_max, tau_se, d[2]), ("e", cei, Ki, Jei_max, tau_si, d[3]),
        ("i", cie, Ke, Jie_max, tau_se, d[2]), ("i", cii, Ki, Jii_max, tau_si, d[3]),
    ]  # fmt: skip
    current = {"e": mue_ext_mean + d[4], "i": mui_ext_mean + d[5]}
    variance = {"e": sigmae_ext**2, "i": sigmai_ext**2}
    means, variances = [], []
    for k, (target, c, K, J, tau, rate) in enumerate(pairs):
        m, v = synapses[k], synapses[4 + k]
        z, z2 = c * tau / abs(J) * K * rate, (c * tau / J) ** 2 * K * rate
        if k == 0:
            z = z + c_gl * tau / abs(J) * Ke_gl * d[0]
            z2 = z2 + (c_gl * tau / J) ** 2 * Ke_gl * d[1]
        means.append(((1 - m) * z - m) / tau)
        variances.append(((1 - m) ** 2 * z2 + (z2 - 2 * tau * (z + 1)) * v) / tau**2)
        current[target] = current[target] + J * m
        variance[target] = variance[target] + 2 * J**2 * v * tau * (C / gL) / ((1 + z) * (C / gL) + tau)
    return (
        (current["e"] - mu_e) / looked_up("tau_mu", *at_e),
        (current["i"] - mu_i) / looked_up("tau_mu", *at_i),
        (a * (looked_up("potential", *at_e) - EA) - IA) / tauA + b * looked_up("rate", *at_e),
        *means,
        *variances,
        (np.sqrt(variance["e"]) - sigma_e) / np.maximum(looked_up("tau_sigma", *at_e), 0.2),
        (np.sqrt(variance["i"]) - sigma_i) / np.maximum(looked_up("tau_sigma", *at_i), 0.2),
    )
