//! The instance metadata service: what a guest is told of itself, at 169.254.169.254 and 100.100.100.200, as the cloud that it
//! believes to be in tells it. The VMM relays both addresses of each network interface onto a unix socket of that
//! interface; the daemon binds it and hands it to [`Service::serve`] with whose it is. Nothing else tells who asks: no
//! address, no header and no path reaches what another instance has.
//!
//! What can be asked are rows, in a file for each dialect; listings of folders derive from them, and only show what this
//! instance has. All is read from the core's records at each request, so that a change is seen by the next one.
//!
//! # Which dialect an instance hears
//!
//! Alibaba's and EC2's paths collide (`/latest/meta-data/hostname` means two things), and the socket does not tell which of
//! the addresses was asked; a guest's clients, on the other hand, only ever ask what their image was made for. So an
//! instance whose guest is to believe to be in a cloud hears that cloud alone, and what that cloud does not have is not there:
//!
//! | guest of | paths | tokens |
//! |---|---|---|
//! | EC2 | EC2's | EC2's |
//! | Alibaba | Alibaba's | Alibaba's |
//! | Huawei | OpenStack's with Huawei's, and EC2's up to 2009-04-04, as OpenStack has them | Huawei's |
//! | native | all of them; where they collide, EC2's | all |
//!
//! # Tokens
//!
//! A token is good for one instance until it ends, and for nothing after a restart of the daemon: clients ask for another
//! when one is refused. That it gets no further than the instance's hop limit is up to the relay, which makes the packets, and
//! is told their TTL by the daemon ([`compute::resource::MetadataOptions::ttl`]); this crate never sees one.
//!
//! # Config drives
//!
//! The same documents as OpenStack's dialect has, as files of a disk, see [`Service::config_drive`].
//!
//! It does not decide who gets which role, makes no credentials (`compute::identity` does), and writes nothing.

#![forbid(unsafe_code)]

/// A path of a network interface.
macro_rules! mac {
    ($rest:literal) => {
        concat!("meta-data/network/interfaces/macs/{mac}/", $rest)
    };
}

mod alibaba;
mod answer;
mod cloud;
mod config_drive;
mod document;
mod ec2;
mod openstack;
mod path;
mod role;
mod service;
mod token;
mod tree;
mod view;

pub use config_drive::ConfigFile;
pub use service::{Config, Limits, Service, Whose};
