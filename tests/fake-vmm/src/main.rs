//! A program with bothy-vmm's command line and control socket, and no VM behind it: it needs no KVM, boots in a
//! millisecond and takes little memory, so that a test can have a thousand. Its "guest" prints a line on the console,
//! echoes what is typed, and obeys the power button.
//!
//! What goes wrong is asked for by words in the configuration: see `Behaviour`. Started by tests of the daemon.
//! `fake-vmm helper` does nothing until its parent ends: what the fake starts as its child, as bothy-vmm does to read a disk.
//! `fake-vmm stubborn-helper` does not end with it.

mod behaviour;
mod http;
mod machine;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use machine::Machine;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["helper"] => match set_parent_process_death_signal(Some(Signal::KILL)) {
            Ok(()) => wait_for_ever(),
            Err(error) => Err(format!("cannot ask to end with the parent: {error}")),
        },
        ["stubborn-helper"] => wait_for_ever(),
        ["--id", id, "--control", path] => serve(id, &PathBuf::from(path)),
        _ => Err("usage: fake-vmm --id ID --control PATH".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("fake-vmm: {message}");
            ExitCode::FAILURE
        }
    }
}

fn wait_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Serves until SIGTERM or SIGINT.
fn serve(id: &str, path: &PathBuf) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the I/O runtime: {error}"))?;
    runtime.block_on(async {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        let (mut terminate, mut interrupt) =
            (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
        let failed = |error| format!("cannot make the control socket {}: {error}", path.display());
        let listener = UnixListener::bind(path).map_err(failed)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        tokio::select! {
            () = http::serve(listener, Machine::new(id)) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::fs::remove_file(path).map_err(|error| format!("cannot remove {}: {error}", path.display()))
    })
}
