//! The ACPI tables of the machine, a hardware-reduced one (ACPI 6.5, 3.11.1): RSDP, XSDT, FADT, MADT, MCFG, DSDT.
//! Written once per boot; whatever can change later is behind registers that the DSDT's methods read.

mod dsdt;

use acpi_tables::fadt::{FADTBuilder, Flags, PmProfile};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic};
use acpi_tables::mcfg::MCFG;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, AmlSink};
use devices::power;

use crate::cpuid::Topology;
use crate::layout;

const OEM: [u8; 6] = *b"BOTHY ";
const OEM_TABLE: [u8; 8] = *b"BOTHYVMM";
const REVISION: u32 = 1;

/// FADT boot architecture flags (5.2.9.3): no VGA to probe for; neither is there a keyboard controller or a legacy
/// device that is not in the DSDT.
const NO_VGA: u16 = 1 << 2;

/// Builds all tables, to be put at `layout::ACPI_TABLES`, where the RSDP then is.
pub fn build(topology: Topology) -> Vec<u8> {
    let mut tables = Tables { bytes: vec![0; Rsdp::len().next_multiple_of(16)] };
    let dsdt = tables.append(&Whole(dsdt::build()));
    let fadt = tables.append(&fadt(dsdt));
    let madt = tables.append(&madt(topology));
    let mcfg = tables.append(&mcfg());
    let mut xsdt = XSDT::new(OEM, OEM_TABLE, REVISION);
    for entry in [fadt, madt, mcfg] {
        xsdt.add_entry(entry);
    }
    let xsdt = tables.append(&xsdt);

    let mut rsdp = Vec::new();
    Rsdp::new(OEM, xsdt).to_aml_bytes(&mut rsdp);
    tables.bytes[..rsdp.len()].copy_from_slice(&rsdp);
    tables.bytes
}

struct Tables {
    bytes: Vec<u8>,
}

impl Tables {
    /// Appends a table, aligned, and says at which guest address it will be.
    fn append(&mut self, table: &dyn Aml) -> u64 {
        self.bytes.resize(self.bytes.len().next_multiple_of(16), 0);
        let address = layout::ACPI_TABLES + self.bytes.len() as u64;
        table.to_aml_bytes(&mut self.bytes);
        address
    }
}

/// A table that is bytes already.
struct Whole(Vec<u8>);

impl Aml for Whole {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}

fn port(offset: u64) -> GAS {
    let address = u64::from(layout::POWER_PORTS) + offset;
    GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, address)
}

fn fadt(dsdt: u64) -> impl Aml {
    let mut fadt = FADTBuilder::new(OEM, OEM_TABLE, REVISION)
        .preferred_pm_profile(PmProfile::EnterpriseServer)
        .dsdt_64(dsdt)
        .flag(Flags::Wbinvd)
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton)
        .flag(Flags::ResetRegSup)
        .flag(Flags::HwReducedAcpi);
    fadt.century = devices::rtc::CENTURY;
    fadt.iapc_boot_arch = NO_VGA.into();
    fadt.reset_reg = port(power::RESET);
    fadt.reset_value = power::RESET_VALUE;
    fadt.sleep_control_reg = port(power::SLEEP_CONTROL);
    fadt.sleep_status_reg = port(power::SLEEP_STATUS);
    fadt.finalize()
}

fn madt(topology: Topology) -> impl Aml {
    let mut madt = MADT::new(OEM, OEM_TABLE, REVISION, LocalInterruptController::Address(layout::LOCAL_APIC));
    for vcpu in 0..topology.vcpus {
        let byte = |id: u32| u8::try_from(id).expect("the machine has at most 255 APIC ids");
        let (uid, apic_id) = (byte(vcpu), byte(topology.apic_id(vcpu)));
        madt.add_structure(ProcessorLocalApic::new(uid, apic_id, EnabledStatus::Enabled));
    }
    madt.add_structure(IoApic::new(0, layout::IO_APIC, 0));
    madt
}

fn mcfg() -> impl Aml {
    let mut mcfg = MCFG::new(OEM, OEM_TABLE, REVISION);
    mcfg.add_ecam(layout::ECAM, 0, 0, layout::PCI_BUSES - 1);
    mcfg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_fit_and_add_up() {
        let tables = build(Topology { vcpus: 255, threads_per_core: 1 });
        assert!(tables.len() <= layout::ACPI_BYTES, "{} bytes", tables.len());
        assert_eq!(&tables[..8], b"RSD PTR ");
        let sum = |bytes: &[u8]| bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        assert_eq!((sum(&tables[..20]), sum(&tables[..36])), (0, 0));
        for signature in [b"FACP", b"APIC", b"MCFG", b"DSDT", b"XSDT"] {
            let at = tables.windows(4).position(|window| window == signature).unwrap();
            let length = u32::from_le_bytes(tables[at + 4..at + 8].try_into().unwrap()) as usize;
            assert_eq!(sum(&tables[at..at + length]), 0, "{}", String::from_utf8_lossy(signature));
        }
    }
}
