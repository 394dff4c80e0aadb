use std::io::Write;

use clap_complete::{Shell, generate};

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  lazymesh completion bash > ~/.local/share/bash-completion/completions/lazymesh
  lazymesh completion zsh  > \"${fpath[1]}/_lazymesh\"
  lazymesh completion fish > ~/.config/fish/completions/lazymesh.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: Args, mut lazymesh: clap::Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    generate(args.shell, &mut lazymesh, "lazymesh", &mut script);
    Ok(std::io::stdout().write_all(&script)?)
}
