//! The `fragsim` program.

fn main() -> std::process::ExitCode {
    fragsim::cli::main()
}
