//! `bothy-vmm --id ID --control PATH`: holds no machine until told over the socket. SIGTERM and SIGINT end it, and the
//! machine with it; ending the guest in an orderly way first is the caller's business.

use super::arguments::ServeArguments;
use super::{Signals, runtime};
use crate::control::{self, ControlSocket};
use crate::machine;

/// Serves until a signal comes.
pub fn serve(arguments: &ServeArguments) -> Result<(), String> {
    let (Some(id), Some(path)) = (&arguments.id, &arguments.control) else {
        unreachable!("clap requires both without a subcommand")
    };
    let runtime = runtime()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let socket = ControlSocket::bind(path).map_err(|error| crate::chain(&error))?;
        let (machine, thread) = machine::start(id.clone())
            .map_err(|error| format!("cannot start the machine's thread: {error}"))?;
        control::serve(&socket, &machine, signals.recv()).await;
        machine.shut_down();
        // The socket is still there, so that no other VMM takes its place before the disks are free.
        thread.join().map_err(|_| "the machine's thread failed".to_owned())
    })
}
