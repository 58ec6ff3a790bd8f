//! The command line: one file per subcommand, arguments in, calls out.

pub mod trace;
mod trace_table;
