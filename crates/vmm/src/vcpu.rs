//! A vCPU: its thread, the loop around KVM_RUN with its one match over exits, and the gate at which all vCPUs of a
//! machine wait while it is paused.

use std::cell::Cell;
use std::io;
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread::{self, JoinHandle};

use devices::bus::Bus;
use kvm_ioctls::{VcpuExit, VcpuFd};
use nix::libc;

/// How a vCPU ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VcpuEnd {
    /// A fault while handling a double fault.
    TripleFault(String),
    /// KVM could not go on.
    InternalError(String),
    /// KVM_RUN failed or ended in a way that this machine never asks for.
    Failed(String),
}

/// Where a vCPU reports its end. Called once, on its thread.
pub type EndSink = Arc<dyn Fn(VcpuEnd) + Send + Sync>;

/// Defines the kinds of exits that are counted, with their names in the metrics.
macro_rules! exit_kinds {
    ($($kind:ident $name:literal)*) => {
        /// Kinds of exits to user space.
        #[derive(Clone, Copy, Debug)]
        enum ExitKind { $($kind),* }

        /// Names of the kinds, in order.
        pub const EXIT_NAMES: &[&str] = &[$($name),*];
    };
}

exit_kinds! {
    IoIn "io_in"
    IoOut "io_out"
    MmioRead "mmio_read"
    MmioWrite "mmio_write"
    Unclaimed "unclaimed"
    Interrupted "interrupted"
    Other "other"
}

/// Exits to user space of one vCPU, by kind. `unclaimed` counts accesses that no device answered, besides their kind.
#[derive(Default)]
pub struct ExitCounts([AtomicU64; EXIT_NAMES.len()]);

impl ExitCounts {
    fn count(&self, kind: ExitKind) {
        self.0[kind as usize].fetch_add(1, Relaxed);
    }

    /// The counts, in the order of `EXIT_NAMES`.
    pub fn get(&self) -> [u64; EXIT_NAMES.len()] {
        std::array::from_fn(|kind| self.0[kind].load(Relaxed))
    }
}

/// What the machine wants of its vCPUs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Stand,
    Run,
    End,
}

struct GateState {
    wish: Wish,
    /// vCPUs that wait here or have ended.
    standing: usize,
}

/// Where vCPUs wait until they may run.
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until running is wished; false: the vCPU shall end.
    fn pass(&self) -> bool {
        let mut state = self.lock();
        if state.wish == Wish::Stand {
            state.standing += 1;
            self.changed.notify_all();
            state = self
                .changed
                .wait_while(state, |state| state.wish == Wish::Stand)
                .unwrap_or_else(PoisonError::into_inner);
            state.standing -= 1;
        }
        state.wish == Wish::Run
    }

    /// The vCPU does not come back.
    fn leave(&self) {
        self.lock().standing += 1;
        self.changed.notify_all();
    }

    fn wish(&self, wish: Wish) {
        self.lock().wish = wish;
        self.changed.notify_all();
    }
}

/// What a vCPU runs with.
pub struct Vcpu {
    /// Its number.
    pub index: u32,
    /// KVM's side, with registers set.
    pub fd: VcpuFd,
    /// Port I/O.
    pub ports: Arc<Bus>,
    /// Memory-mapped I/O.
    pub mmio: Arc<Bus>,
    /// Counts its exits.
    pub exits: Arc<ExitCounts>,
    /// Where its end is reported.
    pub ended: EndSink,
}

thread_local! {
    /// Where KVM looks, before it enters the guest, whether it should rather not. For the signal handler.
    static IMMEDIATE_EXIT: Cell<*mut u8> = const { Cell::new(std::ptr::null_mut()) };
}

/// The signal that takes a vCPU out of KVM_RUN.
fn kick_signal() -> libc::c_int {
    libc::SIGRTMIN()
}

// Whether the signal comes within KVM_RUN or just before it: KVM_RUN returns.
extern "C" fn on_kick(_signal: libc::c_int) {
    IMMEDIATE_EXIT.with(|flag| {
        let flag = flag.get();
        if !flag.is_null() {
            // SAFETY: set by this thread to a byte of its own mapped kvm_run, and to null before that is unmapped.
            unsafe { flag.write_volatile(1) };
        }
    });
}

fn install_kick_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the action is filled in whole, and the handler only writes a byte.
        let result = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_kick as extern "C" fn(libc::c_int) as usize;
            libc::sigaction(kick_signal(), &action, std::ptr::null_mut())
        };
        assert_eq!(result, 0, "the signal exists and can be caught");
    });
}

impl Vcpu {
    /// Runs until it is told to end or cannot go on.
    fn run(&mut self, gate: &Gate) {
        IMMEDIATE_EXIT.with(|flag| flag.set(&raw mut self.fd.get_kvm_run().immediate_exit));
        while gate.pass() {
            if let Some(end) = self.run_until_kicked() {
                (self.ended)(end);
                break;
            }
        }
        IMMEDIATE_EXIT.with(|flag| flag.set(std::ptr::null_mut()));
        gate.leave();
    }

    /// The loop: enters the guest, answers what it asks for. `None`: somebody wants the vCPU to look at the gate.
    fn run_until_kicked(&mut self) -> Option<VcpuEnd> {
        let claimed = |claimed: bool, exits: &ExitCounts| {
            if !claimed {
                exits.count(ExitKind::Unclaimed);
            }
        };
        loop {
            match self.fd.run() {
                Ok(VcpuExit::IoOut(port, data)) => {
                    self.exits.count(ExitKind::IoOut);
                    claimed(self.ports.write(port.into(), data), &self.exits);
                }
                Ok(VcpuExit::IoIn(port, data)) => {
                    self.exits.count(ExitKind::IoIn);
                    claimed(self.ports.read(port.into(), data), &self.exits);
                }
                Ok(VcpuExit::MmioWrite(address, data)) => {
                    self.exits.count(ExitKind::MmioWrite);
                    claimed(self.mmio.write(address, data), &self.exits);
                }
                Ok(VcpuExit::MmioRead(address, data)) => {
                    self.exits.count(ExitKind::MmioRead);
                    claimed(self.mmio.read(address, data), &self.exits);
                }
                Ok(VcpuExit::Intr) => self.exits.count(ExitKind::Interrupted),
                Ok(VcpuExit::Shutdown) => {
                    return Some(VcpuEnd::TripleFault(self.describe("met a triple fault")));
                }
                Ok(VcpuExit::InternalError) => return Some(VcpuEnd::InternalError(self.internal_error())),
                Ok(VcpuExit::FailEntry(reason, _)) => {
                    let what = format!("could not be entered, hardware reason {reason:#x}");
                    return Some(VcpuEnd::InternalError(self.describe(&what)));
                }
                Ok(other) => {
                    let what = format!("ended with {other:?}, which this machine has no use for");
                    return Some(VcpuEnd::Failed(self.describe(&what)));
                }
                Err(error) if error.errno() == libc::EINTR => {
                    self.exits.count(ExitKind::Interrupted);
                    self.fd.set_kvm_immediate_exit(0);
                    return None;
                }
                Err(error) if error.errno() == libc::EAGAIN => self.exits.count(ExitKind::Other),
                Err(error) => {
                    return Some(VcpuEnd::Failed(self.describe(&format!("could not be run: {error}"))));
                }
            }
        }
    }

    fn describe(&self, what: &str) -> String {
        match self.fd.get_regs() {
            Ok(regs) => format!("vCPU {} {what}, at instruction {:#x}", self.index, regs.rip),
            Err(_) => format!("vCPU {} {what}", self.index),
        }
    }

    fn internal_error(&mut self) -> String {
        // SAFETY: KVM fills this member of the union for this exit reason.
        let internal = unsafe { self.fd.get_kvm_run().__bindgen_anon_1.internal };
        let data = &internal.data[..internal.data.len().min(internal.ndata as usize)];
        let meaning = match internal.suberror {
            1 => "an instruction that KVM cannot emulate",
            2 => "events at the same time that KVM cannot deliver",
            3 => "an event during delivery of another",
            _ => "an unexpected exit of the processor",
        };
        self.describe(&format!(
            "met a KVM internal error (suberror {}, {meaning}, data {data:x?})",
            internal.suberror
        ))
    }
}

struct Thread {
    handle: JoinHandle<()>,
    tid: u32,
}

/// All vCPUs of a machine: they run, stand and end together.
pub struct VcpuThreads {
    gate: Arc<Gate>,
    threads: Vec<Thread>,
}

/// Stack of a vCPU thread. The loop is flat, and devices keep their buffers elsewhere.
const STACK_BYTES: usize = 256 << 10;

impl VcpuThreads {
    /// Starts a thread for each vCPU; all stand at the gate.
    pub fn spawn(vcpus: Vec<Vcpu>) -> io::Result<Self> {
        install_kick_handler();
        let gate = Arc::new(Gate {
            state: Mutex::new(GateState { wish: Wish::Stand, standing: 0 }),
            changed: Condvar::new(),
        });
        let mut all = Self { gate, threads: Vec::new() };
        for mut vcpu in vcpus {
            let gate = Arc::clone(&all.gate);
            let (sender, tid) = std::sync::mpsc::channel();
            let name = format!("vcpu{}", vcpu.index);
            let body = move || {
                let _ = sender.send(nix::unistd::gettid().as_raw());
                vcpu.run(&gate);
            };
            let handle = thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(body)?;
            let tid = tid.recv().ok().and_then(|tid| u32::try_from(tid).ok()).unwrap_or(0);
            all.threads.push(Thread { handle, tid });
        }
        Ok(all)
    }

    /// Thread ids, by vCPU number.
    pub fn tids(&self) -> Vec<u32> {
        self.threads.iter().map(|thread| thread.tid).collect()
    }

    /// Lets them run.
    pub fn run(&self) {
        self.gate.wish(Wish::Run);
    }

    /// Returns once no vCPU is in the guest or in a device any more.
    pub fn stand(&self) {
        self.gate.wish(Wish::Stand);
        self.kick();
        let all = self.threads.len();
        let state = self.gate.lock();
        drop(
            self.gate
                .changed
                .wait_while(state, |state| state.standing < all)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn kick(&self) {
        for thread in &self.threads {
            // SAFETY: the thread was not joined yet, so its handle is valid; the signal has a handler.
            unsafe { libc::pthread_kill(thread.handle.as_pthread_t(), kick_signal()) };
        }
    }
}

impl Drop for VcpuThreads {
    fn drop(&mut self) {
        self.gate.wish(Wish::End);
        self.kick();
        for thread in self.threads.drain(..) {
            if thread.handle.join().is_err() {
                log::error!("a vCPU thread panicked");
            }
        }
    }
}
