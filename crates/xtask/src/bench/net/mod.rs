//! The network: between a guest and the host over a tap (`host`), and between two guests over a router and its rules
//! (`pair`), as far as programs in guests can tell. `ends` says where commands run, `load` what they do, `routed` is the
//! network of two guests. Without guests, and without peers, is `aims`: changes of rules (`rules`, and by requests in
//! `daemon`), and requests for metadata.

pub mod aims;
mod daemon;
mod ends;
mod host;
mod load;
mod pair;
mod routed;
mod rules;

use super::Place;
use super::peers::Peer;
use super::table::Sample;

/// Everything, with one guest and then with two.
pub fn measure(place: &Place, peer: &Peer) -> anyhow::Result<Vec<Sample>> {
    let mut samples = host::measure(place, peer)?;
    samples.extend(pair::measure(place, peer)?);
    Ok(samples)
}
