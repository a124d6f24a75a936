//! `cargo xtask image`: the guests that demo, tests and benchmarks run. Made once, by the recipes in `images/`.

mod bare;
mod debian;
mod tiny;

use std::process::ExitCode;

use clap::ValueEnum;

pub use bare::bare;
pub use debian::debian;
pub use tiny::tiny;

/// Makes an image, unless the same recipe was made before, and prints where it is.
///
///   all      all of them
///   tiny     a stock Debian cloud kernel and a busybox that runs one command: kernel, initrd, initrd with benchmarks
///   debian   Debian 12 with systemd, sshd and cloud-init, as one raw disk
///   bare     for images that are bare file systems: the host's kernel, its initrd, a guest of a few lines
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    name: Name,
    /// Make it anew
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    All,
    Tiny,
    Debian,
    Bare,
}

/// Makes it and prints its files.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let wanted = |name| arguments.name == name || arguments.name == Name::All;
    if wanted(Name::Tiny) {
        if arguments.force {
            tiny::forget()?;
        }
        let tiny = tiny()?;
        for path in [tiny.kernel, tiny.initrd, tiny.initrd_with_tools] {
            println!("{}", path.display());
        }
    }
    if wanted(Name::Debian) {
        if arguments.force {
            debian::forget()?;
        }
        println!("{}", debian()?.display());
    }
    if wanted(Name::Bare) {
        if arguments.force {
            bare::forget()?;
        }
        let bare = bare()?;
        for path in [bare.kernel, bare.initrd, bare.guest] {
            println!("{}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
