//! `fragsim man`: manual pages.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man;

use super::exit;
use super::output::Failure;
use crate::files::{make_directory, write_all};

pub(super) const HELP: &str = "\
Examples:
  fragsim man | man -l -
  fragsim man --output ~/.local/share/man/man1";

/// Arguments of `man`.
#[derive(Clone, Debug, Args)]
pub(super) struct ManArgs {
    /// Write a page for each command into this directory
    #[arg(long, short, value_name = "DIRECTORY")]
    output: Option<PathBuf>,
}

/// Runs the command for this command line.
pub(super) fn run(args: &ManArgs, command: clap::Command, out: &mut dyn Write) -> Result<u8, Failure> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    match &args.output {
        None => Man::new(command).render(out)?,
        Some(directory) => {
            make_directory(directory)?;
            write_pages(command, directory)?;
        }
    }
    Ok(exit::DONE)
}

/// Writes the page of a command and those of its subcommands.
fn write_pages(command: clap::Command, directory: &Path) -> Result<(), Failure> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_pages(subcommand.clone(), directory)?;
    }
    let page = Man::new(command);
    let mut text = Vec::new();
    page.render(&mut text)?;
    write_all(&directory.join(page.get_filename()), &text)?;
    Ok(())
}
