//! `fragsim completions`: scripts that complete commands in a shell.

use std::io::Write;

use clap::Args;
use clap_complete::Shell;

use super::exit;
use super::output::Failure;

pub(super) const HELP: &str = "\
Examples:
  fragsim completions bash > ~/.local/share/bash-completion/completions/fragsim
  fragsim completions zsh > ~/.zfunc/_fragsim
  fragsim completions fish > ~/.config/fish/completions/fragsim.fish";

/// Arguments of `completions`.
#[derive(Clone, Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the command for this command line.
pub(super) fn run(args: &CompletionsArgs, command: &mut clap::Command, out: &mut dyn Write) -> Result<u8, Failure> {
    // Into memory first: the generator takes no error from a writer.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "fragsim", &mut script);
    out.write_all(&script)?;
    Ok(exit::DONE)
}
