//! The DSDT: root buses, what is on the motherboard, the power button and the event device behind it.

use acpi_tables::Aml;
use acpi_tables::aml::{
    AddressSpace, AddressSpaceCacheable, And, Device, EISAName, Field, FieldAccessType, FieldEntry,
    FieldLockRule, FieldUpdateRule, IO, If, Interrupt, Local, Memory32Fixed, Method, Name, Notify, OpRegion,
    OpRegionSpace, Package, Path, ResourceTemplate, Scope, Store, ZERO,
};
use acpi_tables::sdt::Sdt;
use devices::{pci, power, rtc, serial};

use super::{OEM, OEM_TABLE, REVISION};
use crate::layout;

/// Notification value of a pressed button (ACPI 6.5, table 5.168).
const BUTTON_PRESSED: u8 = 0x80;

/// Builds the table.
pub fn build() -> Vec<u8> {
    let mut aml = Vec::new();
    for bus in 0..layout::PCI_BUSES {
        root_bus(&mut aml, bus);
    }
    motherboard(&mut aml);
    serial_port(&mut aml);
    clock(&mut aml);
    power_button(&mut aml);
    event_device(&mut aml);

    let mut dsdt = Sdt::new(*b"DSDT", 36, 6, OEM, OEM_TABLE, REVISION);
    dsdt.append_slice(&Scope::raw("_SB_".into(), aml));
    let mut soft_off = Vec::new();
    Name::new("_S5_".into(), &Package::new(vec![&power::SLEEP_TYPE_OFF])).to_aml_bytes(&mut soft_off);
    dsdt.append_slice(&soft_off);
    dsdt.as_slice().to_vec()
}

/// A root bus of its own host bridge, so that each of its slots takes a device that can come and go by itself. It is a
/// conventional one to ACPI: nothing of PCI Express is to be negotiated.
fn root_bus(aml: &mut Vec<u8>, bus: u8) {
    let first = layout::PCI_WINDOW + u32::from(bus) * layout::PCI_WINDOW_BYTES_PER_BUS;
    let last = first + (layout::PCI_WINDOW_BYTES_PER_BUS - 1);
    let numbers = AddressSpace::new_bus_number(u16::from(bus), u16::from(bus));
    let memory = AddressSpace::new_memory(AddressSpaceCacheable::NotCacheable, true, first, last, None);
    let ports = IO::new(pci::ports::PORT, pci::ports::PORT, 1, pci::ports::PORTS as u8);
    let mut resources: Vec<&dyn Aml> = vec![&numbers, &memory];
    if bus == 0 {
        resources.push(&ports); // They reach every bus; the first is where guests expect them.
    }
    Device::new(
        format!("PCI{bus}").as_str().into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0A03")),
            &Name::new("_UID".into(), &bus),
            &Name::new("_SEG".into(), &ZERO),
            &Name::new("_BBN".into(), &bus),
            &Name::new("_CRS".into(), &ResourceTemplate::new(resources)),
        ],
    )
    .to_aml_bytes(aml);
}

/// Keeps the guest from using what configuration space and power management take.
fn motherboard(aml: &mut Vec<u8>) {
    let ecam_bytes = u32::try_from(layout::ECAM_BYTES).expect("a few MiB");
    let ecam = u32::try_from(layout::ECAM).expect("below 4 GiB");
    Device::new(
        "MBRD".into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0C02")),
            &Name::new("_UID".into(), &ZERO),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![
                    &Memory32Fixed::new(true, ecam, ecam_bytes),
                    &IO::new(layout::POWER_PORTS, layout::POWER_PORTS, 1, power::PORTS as u8),
                ]),
            ),
        ],
    )
    .to_aml_bytes(aml);
}

fn serial_port(aml: &mut Vec<u8>) {
    Device::new(
        "COM1".into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0501")),
            &Name::new("_UID".into(), &ZERO),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![
                    &Interrupt::new(true, true, false, false, layout::COM1_IRQ),
                    &IO::new(layout::COM1, layout::COM1, 1, serial::PORTS as u8),
                ]),
            ),
        ],
    )
    .to_aml_bytes(aml);
}

fn clock(aml: &mut Vec<u8>) {
    Device::new(
        "RTC_".into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new("PNP0B00")),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![&IO::new(rtc::PORT, rtc::PORT, 1, rtc::PORTS as u8)]),
            ),
        ],
    )
    .to_aml_bytes(aml);
}

fn power_button(aml: &mut Vec<u8>) {
    Device::new("PWRB".into(), vec![&Name::new("_HID".into(), &EISAName::new("PNP0C0C"))]).to_aml_bytes(aml);
}

/// The event device (5.6.9): on its interrupt the guest takes the event bits and notifies what they stand for.
fn event_device(aml: &mut Vec<u8>) {
    let events = u64::from(layout::POWER_PORTS) + power::EVENTS;
    Device::new(
        "GED_".into(),
        vec![
            &Name::new("_HID".into(), &"ACPI0013"),
            &Name::new("_UID".into(), &ZERO),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![&Interrupt::new(true, true, false, false, layout::EVENT_IRQ)]),
            ),
            &OpRegion::new("EVTR".into(), OpRegionSpace::SystemIO, &events, &1_u8),
            &Field::new(
                "EVTR".into(),
                FieldAccessType::Byte,
                FieldLockRule::NoLock,
                FieldUpdateRule::WriteAsZeroes,
                vec![FieldEntry::Named(*b"EVTS", 8)],
            ),
            &Method::new(
                "_EVT".into(),
                1,
                true,
                vec![
                    &Store::new(&Local(0), &Path::new("EVTS")),
                    &And::new(&Local(1), &Local(0), &power::EVENT_POWER_BUTTON),
                    &If::new(&Local(1), vec![&Notify::new(&Path::new("\\_SB_.PWRB"), &BUTTON_PRESSED)]),
                ],
            ),
        ],
    )
    .to_aml_bytes(aml);
}
