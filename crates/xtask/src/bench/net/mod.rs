//! The network: between a guest and the host over a tap (`host`). `ends` says where commands run, and `load` what they do.

mod ends;
mod host;
mod load;

pub use host::measure;
