//! The program as a user meets it: arguments in, exit code, standard output and standard error out.

mod checks;
mod comparing;
mod extremes;
mod formats;
mod place;
mod results;
mod scenario_errors;
mod small_machines;
mod sweeps;
mod tlb;
mod tlb_figures;
mod traces;
mod usage;
mod validate;
