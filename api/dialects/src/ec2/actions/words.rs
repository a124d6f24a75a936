//! Ids that this cloud has for what the core has none for: what is between two resources, and zones. And ids as parameters.

use aws_lc_rs::digest::{SHA256, digest};

use super::super::ids::CloudId;
use super::super::parameters::Parameters;
use super::super::{Call, Refusal};

/// An id of seventeen digits, as EC2's longer ones have, that is made of a text: the same at each look, and another one as soon
/// as that is another.
pub fn derived(word: &str, of: &str) -> String {
    let hash = digest(&SHA256, format!("{word} {of}").as_bytes());
    let digits: String = hash.as_ref().iter().take(9).map(|byte| format!("{byte:02x}")).collect();
    format!("{word}-{}", &digits[..17])
}

/// An id of seventeen digits that nothing else has.
pub fn drawn(word: &str) -> String {
    derived(word, &uuid::Uuid::new_v4().to_string())
}

/// The id of a zone, which is the same for all accounts: its region's name, and its place.
pub fn zone_id(call: &Call<'_>, name: &str) -> String {
    let zones = &call.compute().config().catalog.zones;
    let place = zones.iter().position(|zone| zone.name == name).map_or(0, |place| place + 1);
    format!("{}-az{place}", call.region())
}

/// The id in a parameter, if it is there.
pub fn id<T: CloudId>(parameters: &Parameters, name: &str) -> Result<Option<T>, Refusal> {
    parameters.get(name).map(T::read).transpose()
}

/// The id in a parameter that must be there.
pub fn required_id<T: CloudId>(parameters: &Parameters, name: &str) -> Result<T, Refusal> {
    T::read(parameters.required(name)?)
}

/// The ids in a list.
pub fn ids<T: CloudId>(parameters: &Parameters, name: &str) -> Result<Vec<T>, Refusal> {
    parameters.list(name)?.iter().map(|text| T::read(text)).collect()
}

/// Refuses what this host does nothing for.
pub fn refuse(parameters: &Parameters, names: &[&str]) -> Result<(), Refusal> {
    match names.iter().find(|name| parameters.get(name).is_some()) {
        Some(name) => Err(Refusal::unsupported(name)),
        None => Ok(()),
    }
}
