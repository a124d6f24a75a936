//! The virtual machine itself, built whole from a configuration and the host's resources: KVM's VM, guest memory,
//! devices, vCPUs. It is never changed into another one; a reset builds a new one.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use devices::bus::{Bus, BusDevice, InsertError};
use devices::events::EventSink;
use devices::i8042::{self, I8042};
use devices::pci;
use devices::pci::ports::ConfigPorts;
use devices::pci::root::{PciRoot, Slot};
use devices::power::{self, PowerButton, PowerPorts, PowerSink};
use devices::rtc::{self, Rtc};
use devices::serial::{self, Serial};
use devices::virtio::VirtioDevice;
use devices::virtio::block::{Block, BlockConfig};
use devices::virtio::net::{Net, NetConfig, ServiceHandles};
use devices::virtio::pci::{BAR_BYTES, VirtioPci};
use devices::virtio::rng::Rng;
use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::VmFd;
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};
use vmm_api::VmConfig;

use crate::boot::{self, BootFiles, LoadError};
use crate::console::Console;
use crate::cpuid::{self, Topology};
use crate::host::HostResources;
use crate::irq::{self, KvmInterrupts};
use crate::kvm::{Hypervisor, KvmError, failed};
use crate::memory::{self, MemoryError};
use crate::metrics::Sources;
use crate::vcpu::{EndSink, ExitCounts, Vcpu, VcpuThreads};
use crate::{acpi, identity, layout, nic, smbios};

/// Why a machine could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// More vCPUs than this host's KVM allows.
    #[error("the machine wants {wanted} vCPUs, this host's KVM allows {most}")]
    TooManyVcpus {
        /// Configured.
        wanted: u32,
        /// Allowed.
        most: u32,
    },
    /// Guest memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The kernel.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Firmware tables do not fit into guest memory.
    #[error("cannot write firmware tables into guest memory")]
    Tables(#[from] vm_memory::GuestMemoryError),
    /// The first vCPU.
    #[error(transparent)]
    Registers(#[from] boot::registers::SetRegistersError),
    /// A device.
    #[error("cannot make {device}")]
    Device {
        /// Which one.
        device: String,
        /// Why.
        source: io::Error,
    },
    /// Two devices want the same addresses, which is our own mistake.
    #[error("devices overlap")]
    Overlap(#[from] InsertError),
    /// vCPU threads.
    #[error("cannot start vCPU threads")]
    Threads(#[source] io::Error),
}

/// Where the machine's parts report to, and what they print to.
pub struct Outside {
    /// The guest's requests for power off and reset.
    pub power: PowerSink,
    /// vCPUs that end by themselves.
    pub ended: EndSink,
    /// Devices in trouble.
    pub events: EventSink,
    /// The serial console.
    pub console: Arc<Console>,
}

/// A virtual machine. Its vCPUs stand until `run`.
pub struct Vm {
    // Dropped in this order: nothing may touch guest memory after its last user is gone.
    vcpus: VcpuThreads,
    virtio: Vec<Arc<Mutex<VirtioPci>>>,
    button: PowerButton,
    console: Arc<Console>,
    exits: Vec<Arc<ExitCounts>>,
    nics: Vec<ServiceHandles>,
    _ports: Arc<Bus>,
    _mmio: Arc<Bus>,
    _fd: Arc<VmFd>,
    _memory: GuestMemoryMmap,
}

impl Vm {
    /// Builds the machine that `config` describes and loads `files`.
    pub fn build(
        id: &str,
        config: &VmConfig,
        host: &HostResources,
        files: BootFiles,
        outside: Outside,
    ) -> Result<Self, BuildError> {
        let kvm = Hypervisor::open()?;
        let topology = Topology { vcpus: config.vcpus, threads_per_core: config.threads_per_core };
        if topology.apic_id(config.vcpus - 1) >= kvm.max_vcpus() {
            return Err(BuildError::TooManyVcpus { wanted: config.vcpus, most: kvm.max_vcpus() });
        }
        let fd = Arc::new(kvm.create_vm()?);
        let memory = memory::allocate(&config.memory)?;
        memory::give_to_kvm(&memory, &fd)?;

        let entry = boot::load(&memory, files)?;
        write_tables(&memory, config, id, topology)?;

        let (ports, mmio) = (Arc::new(Bus::default()), Arc::new(Bus::default()));
        let button = add_legacy_devices(&ports, &fd, &outside)?;
        let root = Arc::new(Mutex::new(PciRoot::new(&mmio)));
        let Models { devices, nics } = models(id, config, host, &outside.events)?;
        let virtio = add_virtio_devices(devices, &root, &fd, &memory, &outside.events)?;
        ports.insert(
            pci::ports::PORT.into(),
            pci::ports::PORTS,
            shared(ConfigPorts::new(Arc::clone(&root))),
        )?;
        mmio.insert(layout::ECAM, layout::ECAM_BYTES, root)?;

        let mut vcpus = Vec::new();
        let mut exits = Vec::new();
        let (supported, tsc_deadline) = kvm.cpuid()?;
        for index in 0..config.vcpus {
            let apic_id = topology.apic_id(index);
            let vcpu = fd.create_vcpu(apic_id.into()).map_err(failed("create a vCPU"))?;
            let cpuid = cpuid::for_vcpu(&supported, topology, index, tsc_deadline);
            vcpu.set_cpuid2(&cpuid).map_err(failed("set a vCPU's CPUID"))?;
            set_msrs(&vcpu).map_err(failed("set a vCPU's model-specific registers"))?;
            if index == 0 {
                boot::registers::set(&vcpu, &memory, entry)?;
            }
            let counts = Arc::new(ExitCounts::default());
            exits.push(Arc::clone(&counts));
            vcpus.push(Vcpu {
                index,
                fd: vcpu,
                ports: Arc::clone(&ports),
                mmio: Arc::clone(&mmio),
                exits: counts,
                ended: Arc::clone(&outside.ended),
            });
        }
        let vcpus = VcpuThreads::spawn(vcpus).map_err(BuildError::Threads)?;
        let console = outside.console;
        Ok(Self {
            vcpus,
            virtio,
            button,
            console,
            exits,
            nics,
            _ports: ports,
            _mmio: mmio,
            _fd: fd,
            _memory: memory,
        })
    }

    /// Lets the vCPUs run.
    pub fn run(&self) {
        self.vcpus.run();
    }

    /// vCPUs and queues stand still when this returns; nothing is in flight.
    pub fn pause(&self) {
        self.vcpus.stand();
        for device in &self.virtio {
            device.lock().unwrap_or_else(PoisonError::into_inner).pause();
        }
    }

    /// Queues and vCPUs go on.
    pub fn resume(&self) {
        for device in &self.virtio {
            device.lock().unwrap_or_else(PoisonError::into_inner).resume();
        }
        self.vcpus.run();
    }

    /// Presses the power button.
    pub fn press_power_button(&self) -> io::Result<()> {
        self.button.press()
    }

    /// Changes the TTL of what the metadata service of an interface says; nothing, if there is no such service.
    pub fn set_metadata_hop_limit(&self, nic: usize, hop_limit: u8) {
        if let Some(metadata) = self.nics.get(nic).and_then(|handles| handles.metadata.as_ref()) {
            metadata.hop_limit.store(hop_limit, Ordering::Relaxed);
        }
    }

    /// Thread ids of the vCPUs.
    pub fn vcpu_tids(&self) -> Vec<u32> {
        self.vcpus.tids()
    }

    /// What is counted in this machine.
    pub fn metrics(&self) -> Sources {
        let devices =
            self.virtio.iter().map(|device| device.lock().unwrap_or_else(PoisonError::into_inner).metrics());
        Sources { vcpus: self.exits.clone(), devices: devices.collect(), nics: self.nics.clone() }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.vcpus.stand();
        self.console.set_input_waker(None);
    }
}

/// Writes what firmware would have left behind.
fn write_tables(
    memory: &GuestMemoryMmap,
    config: &VmConfig,
    id: &str,
    topology: Topology,
) -> Result<(), BuildError> {
    let (acpi, smbios) = (acpi::build(topology), smbios::build(config, id));
    // Both grow with the machine; its limits keep them within.
    assert!(acpi.len() <= layout::ACPI_BYTES && smbios.len() <= layout::SMBIOS_BYTES);
    memory.write_slice(&acpi, GuestAddress(layout::ACPI_TABLES))?;
    memory.write_slice(&smbios, GuestAddress(layout::SMBIOS))?;
    memory.write_slice(&boot::reset_vector::code(), GuestAddress(layout::RESET_VECTOR))?;
    Ok(())
}

fn device(name: impl Into<String>) -> impl FnOnce(io::Error) -> BuildError {
    let device = name.into();
    move |source| BuildError::Device { device, source }
}

fn add_legacy_devices(ports: &Bus, fd: &VmFd, outside: &Outside) -> Result<PowerButton, BuildError> {
    let serial_irq = irq::line(fd, layout::COM1_IRQ).map_err(device("the serial port's interrupt"))?;
    let console = Arc::clone(&outside.console);
    let input = Box::new(move |room| console.take_input(room));
    let output = Box::new(ConsoleOutput(Arc::clone(&outside.console)));
    let serial = Arc::new(Mutex::new(Serial::new(serial_irq, output, input)));
    ports.insert(layout::COM1.into(), serial::PORTS, serial.clone())?;
    outside.console.set_input_waker(Some(Arc::new(move || {
        serial.lock().unwrap_or_else(PoisonError::into_inner).pull_input();
    })));

    ports.insert(rtc::PORT.into(), rtc::PORTS, shared(Rtc::default()))?;
    ports.insert(i8042::COMMAND_PORT.into(), 1, shared(I8042::new(Arc::clone(&outside.power))))?;
    let events_irq = irq::line(fd, layout::EVENT_IRQ).map_err(device("the event device's interrupt"))?;
    let (power_ports, button) = PowerPorts::new(Arc::clone(&outside.power), events_irq);
    ports.insert(layout::POWER_PORTS.into(), power::PORTS, shared(power_ports))?;
    Ok(button)
}

fn shared<D: BusDevice + 'static>(device: D) -> Arc<Mutex<D>> {
    Arc::new(Mutex::new(device))
}

fn add_virtio_devices(
    devices: Vec<Named>,
    root: &Mutex<PciRoot>,
    fd: &Arc<VmFd>,
    memory: &GuestMemoryMmap,
    events: &EventSink,
) -> Result<Vec<Arc<Mutex<VirtioPci>>>, BuildError> {
    let interrupts: Arc<KvmInterrupts> = Arc::new(KvmInterrupts::new(Arc::clone(fd)));
    let mut root = root.lock().unwrap_or_else(PoisonError::into_inner);
    let mut virtio = Vec::new();
    for (index, (name, model)) in devices.into_iter().enumerate() {
        let no_slot =
            || BuildError::Device { device: name.clone(), source: io::Error::other("no PCI slot is free") };
        let slot = Slot::nth(index).filter(|slot| slot.bus < layout::PCI_BUSES).ok_or_else(no_slot)?;
        let bar = layout::PCI_WINDOW
            + u32::from(slot.bus) * layout::PCI_WINDOW_BYTES_PER_BUS
            + u32::from(slot.slot) * BAR_BYTES;
        let function =
            VirtioPci::new(&name, model, memory.clone(), interrupts.clone(), bar, Arc::clone(events))
                .map_err(device(&name))?;
        let function = Arc::new(Mutex::new(function));
        root.insert(slot, Arc::clone(&function));
        virtio.push(function);
    }
    Ok(virtio)
}

/// A device and its name.
type Named = (String, Box<dyn VirtioDevice>);

/// What a machine has of virtio.
struct Models {
    devices: Vec<Named>,
    /// What the network cards do besides, in their order.
    nics: Vec<ServiceHandles>,
}

/// All virtio devices with their names: disks first, in their order, so that `/dev/vda` is the first of them.
fn models(
    id: &str,
    config: &VmConfig,
    host: &HostResources,
    events: &EventSink,
) -> Result<Models, BuildError> {
    let mut models: Vec<Named> = Vec::new();
    let mut nics = Vec::new();
    for (index, (disk, open)) in config.disks.iter().zip(&host.disks).enumerate() {
        let name = format!("blk{index}");
        let open = open.try_clone().map_err(device(&name))?;
        let block = Block::new(BlockConfig { id: disk.id.clone(), disk: open, events: Arc::clone(events) });
        models.push((name, Box::new(block)));
    }
    for (index, (nic, tap)) in config.nics.iter().zip(&host.taps).enumerate() {
        let name = format!("net{index}");
        let tap = tap.try_clone().map_err(device(&name))?;
        let mac = nic.mac.unwrap_or_else(|| identity::mac(id, index)).0;
        let services = nic::services(nic);
        let net = Net::new(NetConfig { tap, mac, mtu: nic.mtu, services }).map_err(device(&name))?;
        nics.push(net.service_handles());
        models.push((name, Box::new(net)));
    }
    let entropy = File::open("/dev/urandom").map_err(device("rng"))?;
    models.push(("rng".to_owned(), Box::new(Rng::new(entropy))));
    Ok(Models { devices: models, nics })
}

/// Where the serial port writes to.
struct ConsoleOutput(Arc<Console>);

impl Write for ConsoleOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.output(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const MSR_MISC_ENABLE: u32 = 0x1a0;
const MISC_ENABLE_FAST_STRINGS: u64 = 1;
const MSR_MTRR_DEF_TYPE: u32 = 0x2ff;
const MTRR_ENABLE_WRITE_BACK: u64 = 1 << 11 | 6;

/// What firmware would have set: memory is cached write-back, string instructions are fast.
fn set_msrs(vcpu: &kvm_ioctls::VcpuFd) -> Result<(), kvm_ioctls::Error> {
    let entry = |index: u32, data: u64| kvm_msr_entry { index, data, ..Default::default() };
    let entries =
        [entry(MSR_MTRR_DEF_TYPE, MTRR_ENABLE_WRITE_BACK), entry(MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRINGS)];
    let msrs = Msrs::from_entries(&entries).expect("two entries");
    // KVM stops at one that this processor does not have, and then the guest does not look for it either.
    vcpu.set_msrs(&msrs).map(drop)
}
