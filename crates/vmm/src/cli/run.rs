//! `bothy-vmm run`: the machine of a command line, its console on standard input and output. End of input is no end of
//! the machine; when the machine ends, all it printed is written first.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::thread;

use tokio::sync::{Notify, oneshot};
use vmm_api::{ExitReason, VmState};

use super::arguments::RunArguments;
use super::terminal::{Keys, RawTerminal};
use super::{Signals, runtime};
use crate::console::Console;
use crate::control::{self, ControlSocket};
use crate::machine::{self, Action, Handle};

/// Most bytes of console output written at once.
const OUTPUT_BYTES: usize = 64 << 10;

/// Runs the machine until it ends; an error if it did not end by the guest's power-off.
pub fn run(arguments: &RunArguments) -> Result<(), String> {
    let runtime = runtime()?;
    let mut signals = runtime.block_on(async { Signals::new() })?;
    let bind = |path| runtime.block_on(async { ControlSocket::bind(path) });
    let socket = arguments.control.as_deref().map(bind).transpose().map_err(|error| crate::chain(&error))?;
    let (machine, thread) = machine::start(arguments.id.clone())
        .map_err(|error| format!("cannot start the machine's thread: {error}"))?;

    let result = runtime.block_on(async {
        let running = run_machine(arguments, &machine, &mut signals);
        match &socket {
            None => running.await,
            Some(socket) => {
                let (over, is_over) = oneshot::channel::<()>();
                let serving = control::serve(socket, &machine, async { drop(is_over.await) });
                let running = async {
                    let result = running.await;
                    drop(over);
                    result
                };
                tokio::join!(running, serving).0
            }
        }
    });
    machine.shut_down();
    thread.join().map_err(|_| "the machine's thread failed".to_owned())?;
    result
}

async fn run_machine(
    arguments: &RunArguments,
    machine: &Handle,
    signals: &mut Signals,
) -> Result<(), String> {
    ask(machine, Action::Configure(Box::new(arguments.config()))).await?;
    let (output_ends, output_end) = oneshot::channel();
    let console = Arc::clone(machine.console());
    let output = thread::Builder::new()
        .name("stdout".into())
        .spawn(move || write_output(&console, output_end))
        .map_err(|error| format!("cannot start the thread of standard output: {error}"))?;

    ask(machine, Action::Boot).await?;
    let terminal = RawTerminal::enter().map_err(|error| format!("cannot set up the terminal: {error}"))?;
    if terminal.is_some() {
        eprint!("[bothy-vmm: Ctrl-A x ends the machine]\r\n");
    }
    let kill = start_input(machine, terminal.is_some())?;
    wait_for_end(machine, signals, &kill).await;

    drop(output_ends);
    if output.join().is_err() {
        return Err("the thread of standard output failed".to_owned());
    }
    drop(terminal);
    match machine.info().exit {
        Some(exit) if exit.reason == ExitReason::PowerOff => Ok(()),
        Some(exit) => Err(exit.message),
        None => Err("the machine is gone without a reason".to_owned()),
    }
}

async fn ask(machine: &Handle, action: Action) -> Result<(), String> {
    let answer = machine.ask(action).await.map_err(|_| "the machine's thread is gone".to_owned())?;
    answer.map(drop).map_err(|refused| refused.to_string())
}

/// Returns when the machine ended. The first signal presses its power button, the second ends it.
async fn wait_for_end(machine: &Handle, signals: &mut Signals, kill: &Notify) {
    let mut pressed = false;
    loop {
        // Read before the state, so that an end after it is not missed.
        let seen = machine.events().last();
        if machine.info().state == VmState::Exited {
            return;
        }
        let action = tokio::select! {
            () = machine.events().wait(seen) => continue,
            () = kill.notified() => Action::Kill,
            () = signals.recv() => if pressed { Action::Kill } else { Action::PowerButton },
        };
        if matches!(action, Action::PowerButton) {
            pressed = true;
            eprint!("[bothy-vmm: power button pressed; the same signal again ends the machine at once]\r\n");
        }
        if let Err(message) = ask(machine, action).await {
            eprint!("bothy-vmm: {message}\r\n");
        }
    }
}

/// Starts to pass standard input on. The thread stays in its read when the process ends.
fn start_input(machine: &Handle, terminal: bool) -> Result<Arc<Notify>, String> {
    let kill = Arc::new(Notify::new());
    let asked = Arc::clone(&kill);
    let console = Arc::clone(machine.console());
    let runtime = runtime()?;
    let body = move || {
        let mut keys = Keys::default();
        let mut buffer = [0; 4096];
        // A terminal that is gone is an end of input like any other.
        while let Ok(count @ 1..) = io::stdin().read(&mut buffer) {
            let (bytes, ends) =
                if terminal { keys.filter(&buffer[..count]) } else { (buffer[..count].to_vec(), false) };
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                runtime.block_on(console.wait_input_room());
                rest = &rest[console.send_input(rest)..];
            }
            if ends {
                asked.notify_one();
            }
        }
    };
    let thread = thread::Builder::new().name("stdin".into()).spawn(body);
    thread.map_err(|error| format!("cannot start the thread of standard input: {error}"))?;
    Ok(kill)
}

/// Writes what the guest prints until told that no more will come.
fn write_output(console: &Console, mut end: oneshot::Receiver<()>) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(message) => return log::error!("{message}"),
    };
    let mut offset = 0;
    loop {
        let ended = runtime.block_on(async {
            tokio::select! {
                _ = &mut end => true,
                () = console.wait_output(offset) => false,
            }
        });
        loop {
            let news = console.history(Some(offset), OUTPUT_BYTES);
            if news.bytes.is_empty() {
                break;
            }
            offset = news.offset + news.bytes.len() as u64;
            let mut stdout = io::stdout().lock();
            if let Err(error) = stdout.write_all(&news.bytes).and_then(|()| stdout.flush()) {
                return log::warn!("standard output is closed to the console: {error}");
            }
        }
        if ended {
            return;
        }
    }
}
