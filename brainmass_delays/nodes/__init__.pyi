"""What the declarations of nodes imply, for type checkers; written by tests/types/make_stubs.py."""

from typing import Any, Never

import brainstate
from brainstate.nn import Param

from .._core.choices import Method
from . import (
    aln,
    coombes_byrne,
    dumont_gutkin,
    epileptor,
    fitzhugh_nagumo,
    gast_schmidt_knosche,
    generic_2d_oscillator,
    hopf,
    jansen_rit,
    kuramoto,
    larter_breakspear,
    linear,
    montbrio_pazo_roxin,
    reduced_wong_wang,
    stuart_landau,
    thalamus,
    wilson_cowan,
    wong_wang_exc_inh,
    zerlaut,
)
from .base import NeuralMass as NeuralMass
from .cascade_table import CascadeTable as CascadeTable
from .declaration import Input as Input
from .declaration import Parameter as Parameter
from .declaration import StateVariable as StateVariable
from .description import describe as describe
from .inhibition import Inhibition as Inhibition
from .inhibition import feedback_inhibition as feedback_inhibition
from .inhibition import tune_inhibition as tune_inhibition

__all__ = [
    "CascadeTable",
    "Inhibition",
    "Input",
    "NeuralMass",
    "Parameter",
    "StateVariable",
    "describe",
    "feedback_inhibition",
    "tune_inhibition",
    "NODES",
    "LinearStep",
    "HopfStep",
    "StuartLandauStep",
    "Generic2dOscillatorStep",
    "KuramotoStep",
    "FitzHughNagumoStep",
    "WilsonCowanStep",
    "JansenRitStep",
    "MontbrioPazoRoxinStep",
    "CoombesByrneStep",
    "CoombesByrne4DStep",
    "GastSchmidtKnoscheSDStep",
    "GastSchmidtKnoscheSFStep",
    "DumontGutkinStep",
    "ReducedWongWangStep",
    "WongWangExcInhStep",
    "EpileptorStep",
    "Epileptor2DStep",
    "LarterBreakspearStep",
    "ThalamusStep",
    "ZerlautStep",
    "ALNStep",
]

NODES: dict[str, type[NeuralMass]]

class Listed:
    def __getattr__(self, name: Never) -> Never: ...

class ALNStep(Listed, aln.ALNStep):
    mue_ext_mean: Param
    mui_ext_mean: Param
    sigmae_ext: Param
    sigmai_ext: Param
    c_gl: Param
    Ke_gl: Param
    Ke: Param
    Ki: Param
    tau_se: Param
    tau_si: Param
    cee: Param
    cie: Param
    cei: Param
    cii: Param
    Jee_max: Param
    Jie_max: Param
    Jei_max: Param
    Jii_max: Param
    a: Param
    b: Param
    EA: Param
    tauA: Param
    C: Param
    gL: Param
    mufe: brainstate.HiddenState
    mufi: brainstate.HiddenState
    IA: brainstate.HiddenState
    seem: brainstate.HiddenState
    seim: brainstate.HiddenState
    siem: brainstate.HiddenState
    siim: brainstate.HiddenState
    seev: brainstate.HiddenState
    seiv: brainstate.HiddenState
    siev: brainstate.HiddenState
    siiv: brainstate.HiddenState
    sigmae: brainstate.HiddenState
    sigmai: brainstate.HiddenState
    init_mufe: Any
    init_mufi: Any
    init_IA: Any
    init_seem: Any
    init_seim: Any
    init_siem: Any
    init_siim: Any
    init_seev: Any
    init_seiv: Any
    init_siev: Any
    init_siiv: Any
    init_sigmae: Any
    init_sigmai: Any
    noise_e: Any
    noise_i: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        mue_ext_mean: Any = ...,
        mui_ext_mean: Any = ...,
        sigmae_ext: Any = ...,
        sigmai_ext: Any = ...,
        c_gl: Any = ...,
        Ke_gl: Any = ...,
        Ke: Any = ...,
        Ki: Any = ...,
        tau_se: Any = ...,
        tau_si: Any = ...,
        cee: Any = ...,
        cie: Any = ...,
        cei: Any = ...,
        cii: Any = ...,
        Jee_max: Any = ...,
        Jie_max: Any = ...,
        Jei_max: Any = ...,
        Jii_max: Any = ...,
        a: Any = ...,
        b: Any = ...,
        EA: Any = ...,
        tauA: Any = ...,
        C: Any = ...,
        gL: Any = ...,
        *,
        init_mufe: Any = ...,
        init_mufi: Any = ...,
        init_IA: Any = ...,
        init_seem: Any = ...,
        init_seim: Any = ...,
        init_siem: Any = ...,
        init_siim: Any = ...,
        init_seev: Any = ...,
        init_seiv: Any = ...,
        init_siev: Any = ...,
        init_siiv: Any = ...,
        init_sigmae: Any = ...,
        init_sigmai: Any = ...,
        noise_e: Any = ...,
        noise_i: Any = ...,
        method: Method = ...,
        table: Any = ...,
    ) -> None: ...

class CoombesByrne4DStep(Listed, coombes_byrne.CoombesByrne4DStep):
    Delta: Param
    eta: Param
    k: Param
    v_syn: Param
    alpha: Param
    r: brainstate.HiddenState
    v: brainstate.HiddenState
    g: brainstate.HiddenState
    q: brainstate.HiddenState
    init_r: Any
    init_v: Any
    init_g: Any
    init_q: Any
    noise_r: Any
    noise_v: Any
    noise_g: Any
    noise_q: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        Delta: Any = ...,
        eta: Any = ...,
        k: Any = ...,
        v_syn: Any = ...,
        alpha: Any = ...,
        *,
        init_r: Any = ...,
        init_v: Any = ...,
        init_g: Any = ...,
        init_q: Any = ...,
        noise_r: Any = ...,
        noise_v: Any = ...,
        noise_g: Any = ...,
        noise_q: Any = ...,
        method: Method = ...,
    ) -> None: ...

class CoombesByrneStep(Listed, coombes_byrne.CoombesByrneStep):
    Delta: Param
    eta: Param
    k: Param
    v_syn: Param
    r: brainstate.HiddenState
    v: brainstate.HiddenState
    init_r: Any
    init_v: Any
    noise_r: Any
    noise_v: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        Delta: Any = ...,
        eta: Any = ...,
        k: Any = ...,
        v_syn: Any = ...,
        *,
        init_r: Any = ...,
        init_v: Any = ...,
        noise_r: Any = ...,
        noise_v: Any = ...,
        method: Method = ...,
    ) -> None: ...

class DumontGutkinStep(Listed, dumont_gutkin.DumontGutkinStep):
    I_e: Param
    Delta_e: Param
    eta_e: Param
    tau_e: Param
    I_i: Param
    Delta_i: Param
    eta_i: Param
    tau_i: Param
    tau_s: Param
    J_ee: Param
    J_ei: Param
    J_ie: Param
    J_ii: Param
    Gamma: Param
    r_e: brainstate.HiddenState
    v_e: brainstate.HiddenState
    s_ee: brainstate.HiddenState
    s_ei: brainstate.HiddenState
    r_i: brainstate.HiddenState
    v_i: brainstate.HiddenState
    s_ie: brainstate.HiddenState
    s_ii: brainstate.HiddenState
    init_r_e: Any
    init_v_e: Any
    init_s_ee: Any
    init_s_ei: Any
    init_r_i: Any
    init_v_i: Any
    init_s_ie: Any
    init_s_ii: Any
    noise_v_e: Any
    noise_v_i: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        I_e: Any = ...,
        Delta_e: Any = ...,
        eta_e: Any = ...,
        tau_e: Any = ...,
        I_i: Any = ...,
        Delta_i: Any = ...,
        eta_i: Any = ...,
        tau_i: Any = ...,
        tau_s: Any = ...,
        J_ee: Any = ...,
        J_ei: Any = ...,
        J_ie: Any = ...,
        J_ii: Any = ...,
        Gamma: Any = ...,
        *,
        init_r_e: Any = ...,
        init_v_e: Any = ...,
        init_s_ee: Any = ...,
        init_s_ei: Any = ...,
        init_r_i: Any = ...,
        init_v_i: Any = ...,
        init_s_ie: Any = ...,
        init_s_ii: Any = ...,
        noise_v_e: Any = ...,
        noise_v_i: Any = ...,
        method: Method = ...,
    ) -> None: ...

class Epileptor2DStep(Listed, epileptor.Epileptor2DStep):
    a: Param
    b: Param
    c: Param
    d: Param
    r: Param
    x0: Param
    Iext: Param
    slope: Param
    Kvf: Param
    Ks: Param
    tt: Param
    modification: Param
    x1: brainstate.HiddenState
    z: brainstate.HiddenState
    init_x1: Any
    init_z: Any
    noise_x1: Any
    noise_z: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        a: Any = ...,
        b: Any = ...,
        c: Any = ...,
        d: Any = ...,
        r: Any = ...,
        x0: Any = ...,
        Iext: Any = ...,
        slope: Any = ...,
        Kvf: Any = ...,
        Ks: Any = ...,
        tt: Any = ...,
        modification: Any = ...,
        *,
        init_x1: Any = ...,
        init_z: Any = ...,
        noise_x1: Any = ...,
        noise_z: Any = ...,
        method: Method = ...,
    ) -> None: ...

class EpileptorStep(Listed, epileptor.EpileptorStep):
    a: Param
    b: Param
    c: Param
    d: Param
    r: Param
    x0: Param
    Iext: Param
    slope: Param
    Iext2: Param
    tau: Param
    aa: Param
    bb: Param
    Kvf: Param
    Kf: Param
    Ks: Param
    tt: Param
    modification: Param
    x1: brainstate.HiddenState
    y1: brainstate.HiddenState
    z: brainstate.HiddenState
    x2: brainstate.HiddenState
    y2: brainstate.HiddenState
    g: brainstate.HiddenState
    init_x1: Any
    init_y1: Any
    init_z: Any
    init_x2: Any
    init_y2: Any
    init_g: Any
    noise_x1: Any
    noise_x2: Any
    noise_y2: Any
    noise_y1: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        a: Any = ...,
        b: Any = ...,
        c: Any = ...,
        d: Any = ...,
        r: Any = ...,
        x0: Any = ...,
        Iext: Any = ...,
        slope: Any = ...,
        Iext2: Any = ...,
        tau: Any = ...,
        aa: Any = ...,
        bb: Any = ...,
        Kvf: Any = ...,
        Kf: Any = ...,
        Ks: Any = ...,
        tt: Any = ...,
        modification: Any = ...,
        *,
        init_x1: Any = ...,
        init_y1: Any = ...,
        init_z: Any = ...,
        init_x2: Any = ...,
        init_y2: Any = ...,
        init_g: Any = ...,
        noise_x1: Any = ...,
        noise_x2: Any = ...,
        noise_y2: Any = ...,
        noise_y1: Any = ...,
        method: Method = ...,
    ) -> None: ...

class FitzHughNagumoStep(Listed, fitzhugh_nagumo.FitzHughNagumoStep):
    alpha: Param
    beta: Param
    gamma: Param
    delta: Param
    epsilon: Param
    tau: Param
    V: brainstate.HiddenState
    w: brainstate.HiddenState
    init_V: Any
    init_w: Any
    noise_V: Any
    noise_w: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        alpha: Any = ...,
        beta: Any = ...,
        gamma: Any = ...,
        delta: Any = ...,
        epsilon: Any = ...,
        tau: Any = ...,
        *,
        init_V: Any = ...,
        init_w: Any = ...,
        noise_V: Any = ...,
        noise_w: Any = ...,
        method: Method = ...,
    ) -> None: ...

class GastSchmidtKnoscheSDStep(Listed, gast_schmidt_knosche.GastSchmidtKnoscheSDStep):
    tau: Param
    tau_A: Param
    alpha: Param
    I: Param
    Delta: Param
    J: Param
    eta: Param
    r: brainstate.HiddenState
    v: brainstate.HiddenState
    A: brainstate.HiddenState
    B: brainstate.HiddenState
    init_r: Any
    init_v: Any
    init_A: Any
    init_B: Any
    noise_v: Any
    noise_r: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        tau: Any = ...,
        tau_A: Any = ...,
        alpha: Any = ...,
        I: Any = ...,
        Delta: Any = ...,
        J: Any = ...,
        eta: Any = ...,
        *,
        init_r: Any = ...,
        init_v: Any = ...,
        init_A: Any = ...,
        init_B: Any = ...,
        noise_v: Any = ...,
        noise_r: Any = ...,
        method: Method = ...,
    ) -> None: ...

class GastSchmidtKnoscheSFStep(Listed, gast_schmidt_knosche.GastSchmidtKnoscheSFStep):
    tau: Param
    tau_A: Param
    alpha: Param
    I: Param
    Delta: Param
    J: Param
    eta: Param
    r: brainstate.HiddenState
    v: brainstate.HiddenState
    A: brainstate.HiddenState
    B: brainstate.HiddenState
    init_r: Any
    init_v: Any
    init_A: Any
    init_B: Any
    noise_v: Any
    noise_r: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        tau: Any = ...,
        tau_A: Any = ...,
        alpha: Any = ...,
        I: Any = ...,
        Delta: Any = ...,
        J: Any = ...,
        eta: Any = ...,
        *,
        init_r: Any = ...,
        init_v: Any = ...,
        init_A: Any = ...,
        init_B: Any = ...,
        noise_v: Any = ...,
        noise_r: Any = ...,
        method: Method = ...,
    ) -> None: ...

class Generic2dOscillatorStep(Listed, generic_2d_oscillator.Generic2dOscillatorStep):
    a: Param
    b: Param
    c: Param
    d: Param
    e: Param
    f: Param
    g: Param
    alpha: Param
    beta: Param
    gamma: Param
    I: Param
    tau: Param
    V: brainstate.HiddenState
    W: brainstate.HiddenState
    init_V: Any
    init_W: Any
    noise_V: Any
    noise_W: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        a: Any = ...,
        b: Any = ...,
        c: Any = ...,
        d: Any = ...,
        e: Any = ...,
        f: Any = ...,
        g: Any = ...,
        alpha: Any = ...,
        beta: Any = ...,
        gamma: Any = ...,
        I: Any = ...,
        tau: Any = ...,
        *,
        init_V: Any = ...,
        init_W: Any = ...,
        noise_V: Any = ...,
        noise_W: Any = ...,
        method: Method = ...,
    ) -> None: ...

class HopfStep(Listed, hopf.HopfStep):
    a: Param
    w: Param
    beta: Param
    x: brainstate.HiddenState
    y: brainstate.HiddenState
    init_x: Any
    init_y: Any
    noise_x: Any
    noise_y: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        a: Any = ...,
        w: Any = ...,
        beta: Any = ...,
        *,
        init_x: Any = ...,
        init_y: Any = ...,
        noise_x: Any = ...,
        noise_y: Any = ...,
        method: Method = ...,
    ) -> None: ...

class JansenRitStep(Listed, jansen_rit.JansenRitStep):
    Ae: Param
    Ai: Param
    be: Param
    bi: Param
    C: Param
    a1: Param
    a2: Param
    a3: Param
    a4: Param
    s_max: Param
    v0: Param
    r: Param
    M: brainstate.HiddenState
    E: brainstate.HiddenState
    I: brainstate.HiddenState
    Mv: brainstate.HiddenState
    Ev: brainstate.HiddenState
    Iv: brainstate.HiddenState
    M_init: Any
    E_init: Any
    I_init: Any
    Mv_init: Any
    Ev_init: Any
    Iv_init: Any
    noise_M: Any
    noise_E: Any
    noise_I: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        Ae: Any = ...,
        Ai: Any = ...,
        be: Any = ...,
        bi: Any = ...,
        C: Any = ...,
        a1: Any = ...,
        a2: Any = ...,
        a3: Any = ...,
        a4: Any = ...,
        s_max: Any = ...,
        v0: Any = ...,
        r: Any = ...,
        *,
        M_init: Any = ...,
        E_init: Any = ...,
        I_init: Any = ...,
        Mv_init: Any = ...,
        Ev_init: Any = ...,
        Iv_init: Any = ...,
        noise_M: Any = ...,
        noise_E: Any = ...,
        noise_I: Any = ...,
        method: Method = ...,
    ) -> None: ...

class KuramotoStep(Listed, kuramoto.KuramotoStep):
    omega: Param
    theta: brainstate.HiddenState
    init_theta: Any
    noise_theta: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        omega: Any = ...,
        *,
        init_theta: Any = ...,
        noise_theta: Any = ...,
        method: Method = ...,
    ) -> None: ...

class LarterBreakspearStep(Listed, larter_breakspear.LarterBreakspearStep):
    gCa: Param
    gK: Param
    gL: Param
    gNa: Param
    TCa: Param
    TK: Param
    TNa: Param
    d_Ca: Param
    d_K: Param
    d_Na: Param
    VCa: Param
    VK: Param
    VL: Param
    VNa: Param
    phi: Param
    tau_K: Param
    aee: Param
    aei: Param
    aie: Param
    ane: Param
    ani: Param
    b: Param
    C: Param
    Iext: Param
    rNMDA: Param
    VT: Param
    d_V: Param
    ZT: Param
    d_Z: Param
    QV_max: Param
    QZ_max: Param
    t_scale: Param
    V: brainstate.HiddenState
    W: brainstate.HiddenState
    Z: brainstate.HiddenState
    init_V: Any
    init_W: Any
    init_Z: Any
    noise_V: Any
    noise_V_stim: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        gCa: Any = ...,
        gK: Any = ...,
        gL: Any = ...,
        gNa: Any = ...,
        TCa: Any = ...,
        TK: Any = ...,
        TNa: Any = ...,
        d_Ca: Any = ...,
        d_K: Any = ...,
        d_Na: Any = ...,
        VCa: Any = ...,
        VK: Any = ...,
        VL: Any = ...,
        VNa: Any = ...,
        phi: Any = ...,
        tau_K: Any = ...,
        aee: Any = ...,
        aei: Any = ...,
        aie: Any = ...,
        ane: Any = ...,
        ani: Any = ...,
        b: Any = ...,
        C: Any = ...,
        Iext: Any = ...,
        rNMDA: Any = ...,
        VT: Any = ...,
        d_V: Any = ...,
        ZT: Any = ...,
        d_Z: Any = ...,
        QV_max: Any = ...,
        QZ_max: Any = ...,
        t_scale: Any = ...,
        *,
        init_V: Any = ...,
        init_W: Any = ...,
        init_Z: Any = ...,
        noise_V: Any = ...,
        noise_V_stim: Any = ...,
        method: Method = ...,
    ) -> None: ...

class LinearStep(Listed, linear.LinearStep):
    gamma: Param
    x: brainstate.HiddenState
    init_x: Any
    noise_x: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        gamma: Any = ...,
        *,
        init_x: Any = ...,
        noise_x: Any = ...,
        method: Method = ...,
    ) -> None: ...

class MontbrioPazoRoxinStep(Listed, montbrio_pazo_roxin.MontbrioPazoRoxinStep):
    tau: Param
    eta: Param
    delta: Param
    J: Param
    r: brainstate.HiddenState
    v: brainstate.HiddenState
    init_r: Any
    init_v: Any
    noise_r: Any
    noise_v: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        tau: Any = ...,
        eta: Any = ...,
        delta: Any = ...,
        J: Any = ...,
        *,
        init_r: Any = ...,
        init_v: Any = ...,
        noise_r: Any = ...,
        noise_v: Any = ...,
        method: Method = ...,
    ) -> None: ...

class ReducedWongWangStep(Listed, reduced_wong_wang.ReducedWongWangStep):
    a: Param
    b: Param
    d: Param
    gamma: Param
    tau_s: Param
    w: Param
    J_N: Param
    I_o: Param
    S: brainstate.HiddenState
    init_S: Any
    noise_S: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        a: Any = ...,
        b: Any = ...,
        d: Any = ...,
        gamma: Any = ...,
        tau_s: Any = ...,
        w: Any = ...,
        J_N: Any = ...,
        I_o: Any = ...,
        *,
        init_S: Any = ...,
        noise_S: Any = ...,
        method: Method = ...,
    ) -> None: ...

class StuartLandauStep(Listed, stuart_landau.StuartLandauStep):
    a: Param
    f: Param
    beta: Param
    x: brainstate.HiddenState
    y: brainstate.HiddenState
    init_x: Any
    init_y: Any
    noise_x: Any
    noise_y: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        a: Any = ...,
        f: Any = ...,
        beta: Any = ...,
        *,
        init_x: Any = ...,
        init_y: Any = ...,
        noise_x: Any = ...,
        noise_y: Any = ...,
        method: Method = ...,
    ) -> None: ...

class ThalamusStep(Listed, thalamus.ThalamusStep):
    tau: Param
    Q_max: Param
    theta: Param
    sigma: Param
    C1: Param
    C_m: Param
    gamma_e: Param
    gamma_r: Param
    g_L: Param
    g_GABA: Param
    g_AMPA: Param
    g_LK: Param
    E_AMPA: Param
    E_GABA: Param
    E_L: Param
    E_K: Param
    E_Ca: Param
    g_T_t: Param
    g_T_r: Param
    g_h: Param
    g_inc: Param
    E_h: Param
    alpha_Ca: Param
    tau_Ca: Param
    Ca_0: Param
    k1: Param
    k2: Param
    k3: Param
    k4: Param
    n_P: Param
    N_tr: Param
    N_rt: Param
    N_rr: Param
    V_t: brainstate.HiddenState
    V_r: brainstate.HiddenState
    Ca: brainstate.HiddenState
    h_t: brainstate.HiddenState
    h_r: brainstate.HiddenState
    m_h1: brainstate.HiddenState
    m_h2: brainstate.HiddenState
    s_et: brainstate.HiddenState
    s_gt: brainstate.HiddenState
    s_er: brainstate.HiddenState
    s_gr: brainstate.HiddenState
    ds_et: brainstate.HiddenState
    ds_gt: brainstate.HiddenState
    ds_er: brainstate.HiddenState
    ds_gr: brainstate.HiddenState
    init_V_t: Any
    init_V_r: Any
    init_Ca: Any
    init_h_t: Any
    init_h_r: Any
    init_m_h1: Any
    init_m_h2: Any
    init_s_et: Any
    init_s_gt: Any
    init_s_er: Any
    init_s_gr: Any
    init_ds_et: Any
    init_ds_gt: Any
    init_ds_er: Any
    init_ds_gr: Any
    noise_t: Any
    noise_r: Any
    noise_V_t: Any
    noise_V_r: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        tau: Any = ...,
        Q_max: Any = ...,
        theta: Any = ...,
        sigma: Any = ...,
        C1: Any = ...,
        C_m: Any = ...,
        gamma_e: Any = ...,
        gamma_r: Any = ...,
        g_L: Any = ...,
        g_GABA: Any = ...,
        g_AMPA: Any = ...,
        g_LK: Any = ...,
        E_AMPA: Any = ...,
        E_GABA: Any = ...,
        E_L: Any = ...,
        E_K: Any = ...,
        E_Ca: Any = ...,
        g_T_t: Any = ...,
        g_T_r: Any = ...,
        g_h: Any = ...,
        g_inc: Any = ...,
        E_h: Any = ...,
        alpha_Ca: Any = ...,
        tau_Ca: Any = ...,
        Ca_0: Any = ...,
        k1: Any = ...,
        k2: Any = ...,
        k3: Any = ...,
        k4: Any = ...,
        n_P: Any = ...,
        N_tr: Any = ...,
        N_rt: Any = ...,
        N_rr: Any = ...,
        *,
        init_V_t: Any = ...,
        init_V_r: Any = ...,
        init_Ca: Any = ...,
        init_h_t: Any = ...,
        init_h_r: Any = ...,
        init_m_h1: Any = ...,
        init_m_h2: Any = ...,
        init_s_et: Any = ...,
        init_s_gt: Any = ...,
        init_s_er: Any = ...,
        init_s_gr: Any = ...,
        init_ds_et: Any = ...,
        init_ds_gt: Any = ...,
        init_ds_er: Any = ...,
        init_ds_gr: Any = ...,
        noise_t: Any = ...,
        noise_r: Any = ...,
        noise_V_t: Any = ...,
        noise_V_r: Any = ...,
        method: Method = ...,
    ) -> None: ...

class WilsonCowanStep(Listed, wilson_cowan.WilsonCowanStep):
    tau_E: Param
    a_E: Param
    theta_E: Param
    tau_I: Param
    a_I: Param
    theta_I: Param
    wEE: Param
    wIE: Param
    wEI: Param
    wII: Param
    r: Param
    rE: brainstate.HiddenState
    rI: brainstate.HiddenState
    rE_init: Any
    rI_init: Any
    noise_E: Any
    noise_I: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        tau_E: Any = ...,
        a_E: Any = ...,
        theta_E: Any = ...,
        tau_I: Any = ...,
        a_I: Any = ...,
        theta_I: Any = ...,
        wEE: Any = ...,
        wIE: Any = ...,
        wEI: Any = ...,
        wII: Any = ...,
        r: Any = ...,
        *,
        rE_init: Any = ...,
        rI_init: Any = ...,
        noise_E: Any = ...,
        noise_I: Any = ...,
        method: Method = ...,
    ) -> None: ...

class WongWangExcInhStep(Listed, wong_wang_exc_inh.WongWangExcInhStep):
    a_e: Param
    b_e: Param
    d_e: Param
    gamma_e: Param
    tau_e: Param
    w_p: Param
    W_e: Param
    a_i: Param
    b_i: Param
    d_i: Param
    gamma_i: Param
    tau_i: Param
    W_i: Param
    J_N: Param
    J_i: Param
    I_o: Param
    I_ext: Param
    G: Param
    lamda: Param
    S_e: brainstate.HiddenState
    S_i: brainstate.HiddenState
    init_S_e: Any
    init_S_i: Any
    noise_e: Any
    noise_i: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        a_e: Any = ...,
        b_e: Any = ...,
        d_e: Any = ...,
        gamma_e: Any = ...,
        tau_e: Any = ...,
        w_p: Any = ...,
        W_e: Any = ...,
        a_i: Any = ...,
        b_i: Any = ...,
        d_i: Any = ...,
        gamma_i: Any = ...,
        tau_i: Any = ...,
        W_i: Any = ...,
        J_N: Any = ...,
        J_i: Any = ...,
        I_o: Any = ...,
        I_ext: Any = ...,
        G: Any = ...,
        lamda: Any = ...,
        *,
        init_S_e: Any = ...,
        init_S_i: Any = ...,
        noise_e: Any = ...,
        noise_i: Any = ...,
        method: Method = ...,
    ) -> None: ...

class ZerlautStep(Listed, zerlaut.ZerlautStep):
    g_L: Param
    E_L_e: Param
    E_L_i: Param
    C_m: Param
    b_e: Param
    a_e: Param
    b_i: Param
    a_i: Param
    tau_w_e: Param
    tau_w_i: Param
    E_e: Param
    E_i: Param
    Q_e: Param
    Q_i: Param
    tau_e: Param
    tau_i: Param
    N_tot: Param
    p_connect_e: Param
    p_connect_i: Param
    g: Param
    K_ext_e: Param
    K_ext_i: Param
    T: Param
    external_input_ex_ex: Param
    external_input_ex_in: Param
    external_input_in_ex: Param
    external_input_in_in: Param
    P_e0: Param
    P_e1: Param
    P_e2: Param
    P_e3: Param
    P_e4: Param
    P_e5: Param
    P_e6: Param
    P_e7: Param
    P_e8: Param
    P_e9: Param
    P_i0: Param
    P_i1: Param
    P_i2: Param
    P_i3: Param
    P_i4: Param
    P_i5: Param
    P_i6: Param
    P_i7: Param
    P_i8: Param
    P_i9: Param
    E: brainstate.HiddenState
    I: brainstate.HiddenState
    W_e: brainstate.HiddenState
    W_i: brainstate.HiddenState
    init_E: Any
    init_I: Any
    init_W_e: Any
    init_W_i: Any
    noise_E: Any
    noise_E_stim: Any
    noise_I_stim: Any
    def __init__(
        self,
        in_size: int | tuple[int, ...],
        g_L: Any = ...,
        E_L_e: Any = ...,
        E_L_i: Any = ...,
        C_m: Any = ...,
        b_e: Any = ...,
        a_e: Any = ...,
        b_i: Any = ...,
        a_i: Any = ...,
        tau_w_e: Any = ...,
        tau_w_i: Any = ...,
        E_e: Any = ...,
        E_i: Any = ...,
        Q_e: Any = ...,
        Q_i: Any = ...,
        tau_e: Any = ...,
        tau_i: Any = ...,
        N_tot: Any = ...,
        p_connect_e: Any = ...,
        p_connect_i: Any = ...,
        g: Any = ...,
        K_ext_e: Any = ...,
        K_ext_i: Any = ...,
        T: Any = ...,
        external_input_ex_ex: Any = ...,
        external_input_ex_in: Any = ...,
        external_input_in_ex: Any = ...,
        external_input_in_in: Any = ...,
        P_e0: Any = ...,
        P_e1: Any = ...,
        P_e2: Any = ...,
        P_e3: Any = ...,
        P_e4: Any = ...,
        P_e5: Any = ...,
        P_e6: Any = ...,
        P_e7: Any = ...,
        P_e8: Any = ...,
        P_e9: Any = ...,
        P_i0: Any = ...,
        P_i1: Any = ...,
        P_i2: Any = ...,
        P_i3: Any = ...,
        P_i4: Any = ...,
        P_i5: Any = ...,
        P_i6: Any = ...,
        P_i7: Any = ...,
        P_i8: Any = ...,
        P_i9: Any = ...,
        *,
        init_E: Any = ...,
        init_I: Any = ...,
        init_W_e: Any = ...,
        init_W_i: Any = ...,
        noise_E: Any = ...,
        noise_E_stim: Any = ...,
        noise_I_stim: Any = ...,
        method: Method = ...,
    ) -> None: ...
