//! `juststorage completions` and the man page, made from the definition of the command line.

use std::io::{self, Write};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit_error::ExitError;

/// Prints the script that completes commands and flags in `shell`.
pub(super) fn run(shell: Shell) -> Result<(), ExitError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "juststorage", &mut script);
    print(&script)
}

/// Prints the man page, in roff.
pub(super) fn man() -> Result<(), ExitError> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|error| ExitError::unable("write the man page", error))?;
    print(&page)
}

fn print(bytes: &[u8]) -> Result<(), ExitError> {
    io::stdout().write_all(bytes).map_err(|error| ExitError::unable("print", error))
}
