//! `bothy completion`: what a shell needs to complete our commands.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::failure::Failure;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  bothy completion bash > /etc/bash_completion.d/bothy
  bothy completion zsh > ~/.zfunc/_bothy
  bothy completion fish > ~/.config/fish/completions/bothy.fish";

/// Print a completion script for a shell
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints.
pub fn run(output: Output, arguments: &Arguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::Arguments::command(), "bothy", &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end())
}
