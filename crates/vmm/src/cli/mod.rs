//! The command line of bothy-vmm: a process that waits to be told over its control socket (`serve`), or one that runs a
//! machine given on the command line (`run`). Both drive the same `machine::Handle`.

mod arguments;
mod run;
mod serve;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

/// Parses the command line and does what it says. Usage errors end the process with status 2.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    env_logger::Builder::new()
        .filter_level(arguments.log_level)
        // It logs each mistake of a guest, without limit. Ours count them.
        .filter_module("virtio_queue", log::LevelFilter::Off)
        .format_timestamp_millis()
        .init();
    let result = match arguments.command {
        Some(Command::Run(run)) => run::run(&run),
        None => serve::serve(&arguments.serve),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("bothy-vmm: {message}");
            ExitCode::FAILURE
        }
    }
}

/// What both ways of running share: a runtime on the calling thread.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| format!("cannot start the I/O runtime: {error}"))
}

/// SIGTERM and SIGINT, to be waited for.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// From here on the two no longer end the process. Needs the runtime.
    fn new() -> Result<Self, String> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Returns when one came.
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
