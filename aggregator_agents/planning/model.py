"""The model of a plan: one function per family of equations.

    minimise    sum_it (buy_t + waiting_it + hurry_it) k_it x_it - sum_it (buy_t - wear) k_it y_it
                + sum_t (buy_t - sell_t) e_t h_t + sum_ig c_g s_ig + sum_t missed_t u_t h_t + sum_k peak_k m_k
                + kappa sum_i on (1 - z_i)
    energy i    sum_t k_it x_it + sum_g s_ig = wanted_i                                           that only charges
    battery it  b_it = b_i,t-1 + eta k_it x_it - k_it y_it / eta,  floor_i <= b_it <= capacity_i  that feeds back, too
                b_i at departure >= stored_i + eta (wanted_i - sum_g s_ig); less than stored where its driver wants less
    phase ft    sum_i a_if x_it <= fuse - margin - other_ft, and a third of what contracts allow
    contact ft  sum_c w_cft <= fuse - margin - other_ft - chargers x safe
    charger cft sum_i in c a_if x_it <= min(charger, safe + w_cft)
    feed ft     sum_i a_if y_it <= what the fuse and the connection let out
    power t     p_t = sum_i k_it (x_it - y_it) / h_t + other_t
    corridor t  floor_t - u_t <= p_t <= ceiling_t + u_t
    export t    e_t >= -p_t,  e_t >= 0
    peak k, t   m_k >= p_t,  m_k >= highest until now
    signal i    I_min z_i <= x_i0 <= I_max z_i, whole amps                                        plugged in now
    bounds      0 <= x_it <= I_max, 0 <= y_it <= discharge_i, where i is plugged in, 0 elsewhere

x, y [A] charging and discharging current per phase of session i in step t while it is plugged in; k [Wh/A] energy of an
amp in that step; s [Wh] what the driver does not get, in parts that cost more and more; b [Wh] stored; w [A] what a
charger draws above what it falls back to without contact: see Site.spare_a; p [W] at the connection, of which e is fed
in; u [W] how far that is outside of what was sold; m [W] the highest import; z whether the first signal is on; a_if
whether i counts on phase f; h length of a step [h].

No limit of charging counts on what somebody feeds back or on PV, and no limit of feeding back on what somebody draws:
either can end sooner than a lease. Within, amps, kW, kWh and thousandths of a euro, which keeps numbers near one.
"""

from aggregator_agents.planning.connection import add_connection
from aggregator_agents.planning.problem import Problem
from aggregator_agents.planning.supply import add_feeding, add_supply
from aggregator_agents.planning.vehicles import Vehicles


def build_model(problem: Problem) -> Vehicles:
    """The programme of a problem, and what its variables mean."""
    model = Vehicles(problem)
    add_supply(model)
    add_feeding(model)
    add_connection(model)
    return model
