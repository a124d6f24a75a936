//! Interrupts through KVM: the lines of the I/O APIC, and message-signalled interrupts as irqfds with a route each.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use devices::pci::{Hypervisor, MsiMessage, MsiVector};
use kvm_bindings::{
    KVM_IRQ_ROUTING_IRQCHIP, KVM_IRQ_ROUTING_MSI, KVM_IRQCHIP_IOAPIC, KVM_IRQCHIP_PIC_MASTER,
    KVM_IRQCHIP_PIC_SLAVE, KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_entry__bindgen_ty_1,
    kvm_irq_routing_irqchip, kvm_irq_routing_msi,
};
use kvm_ioctls::{IoEventAddress, NoDatamatch, VmFd};
use vmm_sys_util::eventfd::{EFD_CLOEXEC, EFD_NONBLOCK, EventFd};

use crate::layout::IO_APIC_PINS;

/// All routes of the VM. KVM takes them only as a whole.
struct Routes {
    vm: Arc<VmFd>,
    msi: Mutex<Vec<Option<MsiMessage>>>,
}

impl Routes {
    fn set(&self, index: usize, message: MsiMessage) -> io::Result<()> {
        let mut routes = self.msi.lock().unwrap_or_else(PoisonError::into_inner);
        if routes[index] == Some(message) {
            return Ok(());
        }
        let before = routes[index].replace(message);
        self.apply(&routes).inspect_err(|_| routes[index] = before)
    }

    fn apply(&self, routes: &[Option<MsiMessage>]) -> io::Result<()> {
        let lines = lines();
        let messages =
            routes.iter().enumerate().filter_map(|(index, route)| Some(msi_entry(index, (*route)?)));
        let entries: Vec<_> = lines.into_iter().chain(messages).collect();
        let routing = KvmIrqRouting::from_entries(&entries).map_err(|_| io::ErrorKind::OutOfMemory)?;
        self.vm.set_gsi_routing(&routing).map_err(io::Error::from)
    }
}

/// Interrupt number of a message-signalled interrupt: after the I/O APIC's.
fn gsi(index: usize) -> u32 {
    IO_APIC_PINS + u32::try_from(index).expect("a few hundred interrupts")
}

/// What KVM sets up by itself for its interrupt controllers.
fn lines() -> Vec<kvm_irq_routing_entry> {
    let line = |gsi: u32, irqchip: u32, pin: u32| kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_IRQCHIP,
        u: kvm_irq_routing_entry__bindgen_ty_1 { irqchip: kvm_irq_routing_irqchip { irqchip, pin } },
        ..Default::default()
    };
    let pic = |gsi: u32| match gsi {
        0..8 => line(gsi, KVM_IRQCHIP_PIC_MASTER, gsi),
        _ => line(gsi, KVM_IRQCHIP_PIC_SLAVE, gsi - 8),
    };
    (0..16).map(pic).chain((0..IO_APIC_PINS).map(|gsi| line(gsi, KVM_IRQCHIP_IOAPIC, gsi))).collect()
}

fn msi_entry(index: usize, message: MsiMessage) -> kvm_irq_routing_entry {
    let msi = kvm_irq_routing_msi {
        address_lo: message.address as u32,
        address_hi: (message.address >> 32) as u32,
        data: message.data,
        ..Default::default()
    };
    kvm_irq_routing_entry {
        gsi: gsi(index),
        type_: KVM_IRQ_ROUTING_MSI,
        u: kvm_irq_routing_entry__bindgen_ty_1 { msi },
        ..Default::default()
    }
}

/// KVM, as PCI devices see it.
pub struct KvmInterrupts {
    routes: Arc<Routes>,
}

impl KvmInterrupts {
    /// For the devices of `vm`, whose interrupt controllers exist.
    pub fn new(vm: Arc<VmFd>) -> Self {
        Self { routes: Arc::new(Routes { vm, msi: Mutex::default() }) }
    }
}

/// An event that raises line `irq` of the I/O APIC: an edge for each write.
pub fn line(vm: &VmFd, irq: u32) -> io::Result<EventFd> {
    let event = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?;
    vm.register_irqfd(&event, irq)?;
    Ok(event)
}

struct KvmMsi {
    routes: Arc<Routes>,
    index: usize,
    event: EventFd,
    connected: Mutex<bool>,
}

impl MsiVector for KvmMsi {
    fn event(&self) -> &EventFd {
        &self.event
    }

    // The route before the irqfd: a signal that waits in the event is delivered as soon as the irqfd is there.
    fn connect(&self, message: MsiMessage) -> io::Result<()> {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        self.routes.set(self.index, message)?;
        if !*connected {
            self.routes.vm.register_irqfd(&self.event, gsi(self.index))?;
            *connected = true;
        }
        Ok(())
    }

    fn disconnect(&self) {
        let mut connected = self.connected.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *connected)
            && let Err(error) = self.routes.vm.unregister_irqfd(&self.event, gsi(self.index))
        {
            log::error!("KVM kept an interrupt connected: {error}");
        }
    }
}

impl Hypervisor for KvmInterrupts {
    fn msi_vector(&self) -> io::Result<Arc<dyn MsiVector>> {
        let event = EventFd::new(EFD_NONBLOCK | EFD_CLOEXEC)?;
        let mut routes = self.routes.msi.lock().unwrap_or_else(PoisonError::into_inner);
        routes.push(None);
        let index = routes.len() - 1;
        Ok(Arc::new(KvmMsi { routes: Arc::clone(&self.routes), index, event, connected: Mutex::new(false) }))
    }

    fn attach_doorbell(&self, address: u64, kick: &EventFd) -> io::Result<()> {
        Ok(self.routes.vm.register_ioevent(kick, &IoEventAddress::Mmio(address), NoDatamatch)?)
    }

    fn detach_doorbell(&self, address: u64, kick: &EventFd) {
        // Absent if attaching failed, which was reported then.
        let _ = self.routes.vm.unregister_ioevent(kick, &IoEventAddress::Mmio(address), NoDatamatch);
    }
}
