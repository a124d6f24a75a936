//! bothy-vmm
fn main() {}
