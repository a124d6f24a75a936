//! The one door to the machine: what the control socket and the command line ask goes through here to the machine's
//! own thread, and what it is comes back. Cheap to clone.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::oneshot;
use vmm_api::{ErrorBody, ErrorCode, NicUpdate, VmConfig, VmInfo};

use super::Message;
use crate::console::Console;
use crate::events::EventLog;
use crate::metrics::Metrics;

/// What can be asked of the machine.
#[derive(Debug)]
pub enum Action {
    /// Take this configuration.
    Configure(Box<VmConfig>),
    /// Change what may be changed of the network interface of this number.
    UpdateNic(usize, NicUpdate),
    /// Build the machine and run it.
    Boot,
    /// Stop vCPUs and queues.
    Pause,
    /// Let them go on.
    Resume,
    /// Press the power button.
    PowerButton,
    /// Build the machine anew, as a reset button would.
    Reset,
    /// End the machine at once.
    Kill,
}

/// The answer to an action: the VM as it is after it, or why it was refused.
pub type Answer = Result<VmInfo, ErrorBody>;

/// Handle to the machine's thread.
#[derive(Clone)]
pub struct Handle {
    messages: mpsc::Sender<Message>,
    shared: Arc<Shared>,
}

/// What others may look at without asking the machine's thread.
pub struct Shared {
    /// The VM as it was after the last change; `uptime_ms` and `last_event` are filled in when it is read.
    pub(super) info: Mutex<VmInfo>,
    /// When the machine was last built.
    pub(super) built: Mutex<Option<std::time::Instant>>,
    /// What happened so far.
    pub events: Arc<EventLog>,
    /// The serial console.
    pub console: Arc<Console>,
    /// Counters of the machine.
    pub metrics: Metrics,
}

impl Handle {
    pub(super) fn new(messages: mpsc::Sender<Message>, shared: Arc<Shared>) -> Self {
        Self { messages, shared }
    }

    /// Asks for `action`. The receiver yields the answer once the machine has done or refused it; dropping it does
    /// not take the request back.
    pub fn ask(&self, action: Action) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        if let Err(mpsc::SendError(message)) = self.messages.send(Message::Asked(action, reply)) {
            let ended = ErrorCode::ShuttingDown.body("the VMM is ending", "start a new bothy-vmm process");
            if let Message::Asked(_, reply) = message {
                let _ = reply.send(Err(ended));
            }
        }
        answer
    }

    /// Asks the machine's thread to end the machine, if any, and itself. Returns at once.
    pub fn shut_down(&self) {
        let _ = self.messages.send(Message::ShutDown);
    }

    /// The VM as it is now.
    pub fn info(&self) -> VmInfo {
        let mut info = self.shared.info.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let built = *self.shared.built.lock().unwrap_or_else(PoisonError::into_inner);
        info.uptime_ms = built.map_or(0, |at| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX));
        info.last_event = self.shared.events.last();
        info
    }

    /// What happened so far.
    pub fn events(&self) -> &EventLog {
        &self.shared.events
    }

    /// The serial console.
    pub fn console(&self) -> &Arc<Console> {
        &self.shared.console
    }

    /// All counters as Prometheus text (version 0.0.4).
    pub fn metrics_text(&self) -> String {
        self.shared.metrics.render(&self.info())
    }
}
