"""The device presets, each number with its source beside it.

Where a source has no read voltage or read time, a device has the 0.2 V of CiMLoop's ISAAC cell and the 10 ns read pulse
of NeuroSim V1.4 (Param.cpp), and its ``source`` says so. Fits are carried from published simulators, which read them
off the papers' figures: CrossSim 3.2 (Sandia), aihwkit 1.1 (IBM), CiMLoop (MIT), NeuroSim V1.4. A device whose source
gives no error has none until ``crossbar.programming_error`` is set.
"""

import numpy as np

from .cell import Device
from .drift import PowerLaw, Spread

DAY_S = 86_400.0
_GENERIC_READ = "read at ISAAC's 0.2 V for NeuroSim's 10 ns, the generic values"

PRESETS: tuple[Device, ...] = (
    Device(
        name="ideal",
        title="no error of any kind",
        source="range, voltage and time of generic; every error off",
        g_min_us=1e6 / 1.7e6,
        g_max_us=10.0,
        read_voltage_v=0.5,
    ),
    Device(
        name="generic",
        title="generic resistive cell, 100 kohm / 1.7 Mohm",
        source="NeuroSim V1.4 Param.cpp: range, read at 0.5 V for 10 ns; it gives no error: set programming_error",
        g_min_us=1e6 / 1.7e6,  # resistanceOff = 17 * 100e3
        g_max_us=10.0,  # resistanceOn = 100e3
        read_voltage_v=0.5,  # readVoltage
        read_ns=10.0,  # readPulseWidth
    ),
    Device(
        name="isaac",
        title="ISAAC cell, 2 kohm / 2 Mohm, 2 bits",
        source=(
            "Shafiee et al., ISCA 2016: 2 bits a cell; range as CrossSim's ISAAC settings have it (CiMLoop has 2 to 20 "
            "kohm); read at 0.2 V for 1 ns and set at 2 V for 40 ns as CiMLoop has them, voltages from PRIME; no "
            "error given: set programming_error"
        ),
        g_min_us=0.5,  # 2 Mohm
        g_max_us=500.0,  # 2 kohm
        levels=4,  # 2 bits a cell
        read_voltage_v=0.2,
        read_ns=1.0,
        write_voltage_v=2.0,
        write_pulse_ns=40.0,
    ),
    Device(
        name="wan2022",
        title="NeuRRAM filamentary RRAM",
        source=(
            "Wan et al., Nature 608, 504 (2022): error at 1 s is CrossSim's cubic fit of Extended Data Fig. 3, good to "
            "39.26 uS; its growth to 1 day and 2 days is aihwkit's fits; read noise is aihwkit's advice of about 1 %, "
            "here of the conductance itself; 1 Mohm off state, read at 0.5 V for 2 ns, written at 1.75 V for 8520 ns "
            "as CiMLoop has them"
        ),
        g_min_us=1.0,  # CiMLoop rram_wan_nature_2022: ResistanceOff 1e6 ohm
        g_max_us=39.26,  # CrossSim RRAM_Wan: the largest conductance of the fit
        error_us=(1.053, 0.2374, -1.167e-2, 1.536e-4),  # CrossSim RRAM_Wan, t = 1 s
        verified=True,
        read_noise=0.01,  # aihwkit ReRamWan2022NoiseModel, note
        drift=Spread(
            scale_us=40.0,
            times_s=(1.0, DAY_S, 2 * DAY_S),
            sigma_us=(  # aihwkit ReRamWan2022NoiseModel, uS over (G / 40 uS)^k
                (0.348, 16.030, -43.853, 45.393, -16.815),
                (0.701, 22.086, -50.773, 47.095, -16.458),
                (0.782, 20.274, -43.507, 37.062, -11.934),
            ),
        ),
        read_voltage_v=0.5,
        read_ns=2.0,
        write_voltage_v=1.75,
        write_pulse_ns=8520.0,  # a whole write with its verifies
    ),
    Device(
        name="milo2021",
        title="HfO2 RRAM, IGVVA-100 programming",
        source=(
            "Milo et al., IRPS 2021: 50 to 225 uS; error and I-V as CrossSim fits them (IGVVA-100, Fig. 4; V up to "
            f"0.5 V); no read noise, drift or write pulse given; {_GENERIC_READ}"
        ),
        g_min_us=50.0,  # CrossSim RRAM_Milo: on/off 4.5
        g_max_us=225.0,
        error_us=(4.782321, -0.009107),  # CrossSim RRAM_Milo
        verified=True,
        iv=(  # CrossSim 3.2 RRAM_Milo, polynomials of log10 G in siemens: A/V^2, A/V^3
            (7.063e-3, 5.711e-3, 1.541e-3, 1.388e-4),
            (1.2968e-3, 6.7919e-4, 8.871e-5),
        ),
    ),
    Device(
        name="joshi2020",
        title="phase-change memory, mushroom cells",
        source=(
            "Joshi et al., Nature Communications 11, 2473 (2020): 0.25 to 25 uS, error is CrossSim's quadratic fit of "
            "Fig. 3b; drift and 1/f noise as aihwkit has them (Nandakumar et al., ICECS 2019), the noise that has "
            "accumulated at 20 s, taken as new at each read, which a 1/f spectrum is not; read for 250 ns (aihwkit) at "
            "ISAAC's 0.2 V, the generic value"
        ),
        g_min_us=0.25,  # CrossSim PCM_Joshi: on/off 100
        g_max_us=25.0,
        error_us=(0.28638599, 0.07585724, -0.00178767),  # CrossSim PCM_Joshi
        verified=True,
        # 0.0088 (G / Gmax)^-0.65 sqrt(ln((t + t_read) / (2 t_read))), the first factor at most 0.2: aihwkit
        # PCMLikeNoiseModel, at t = 20 s and t_read = 250 ns
        read_noise=0.0088 * float(np.sqrt(np.log((20.0 + 250e-9) / 500e-9))),
        read_exponent=0.65,
        read_limit=0.2 * float(np.sqrt(np.log((20.0 + 250e-9) / 500e-9))),
        drift=PowerLaw(  # aihwkit PCMLikeNoiseModel.generate_drift_coefficients
            t0_s=20.0,
            mean=(0.0244, -0.0155, 0.049, 0.1),
            spread=(-0.0059, -0.0125, 0.008, 0.045),
        ),
        read_ns=250.0,
    ),
    Device(
        name="sonos",
        title="SONOS charge trap, 40 nm, subthreshold",
        source=(
            "Agrawal et al., IEDM 2022: 0 to 16 uS (1600 nA at 0.1 V), on/off 1e7; error and read noise as CrossSim "
            "fits them (Figs. 10a, 11b, t = 0); its fits of the drift over days are not carried, so there is no drift; "
            "read for NeuroSim's 10 ns, the generic value"
        ),
        g_min_us=16.0 / 1e7,
        g_max_us=16.0,
        error_us=(0.1988665,),  # CrossSim SONOS: 19.88665 nA at 0.1 V
        error_knee_us=1.763115,  # 176.3115 nA
        verified=True,
        read_noise=0.1258037 * -float(np.expm1(-16.0 / 2.1536557)) / 16.0,  # the law of the next line at g_max
        read_us=(0.1258037, 2.1536557),  # CrossSim SONOS: 12.58037 nA, 215.36557 nA
        read_voltage_v=0.1,
    ),
    Device(
        name="sheridan-wox",
        title="illustrative WOx: no checked source",
        source=(
            "illustrative, after the 32x32 WOx array of Sheridan et al., Nature Nanotechnology 12, 784 (2017), whose "
            f"numbers were not checked: range, error and noise are chosen, not measured; {_GENERIC_READ}"
        ),
        g_min_us=0.2,
        g_max_us=2.0,
        error_us=(0.06,),
        read_noise=0.01,
    ),
)
