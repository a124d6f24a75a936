//! The ways in which requests are signed, as texts and MACs: pure, and asked by `auth` alone. `parameters` has the three that
//! sign parameters (versions 0, 1 and 2), `v4` the one that signs a request as it goes over the wire.

pub mod parameters;
pub mod v4;

use crate::signing::encoded;

/// `a=1&b=2`, in the order of the names.
fn canonical_query<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut pairs: Vec<_> = pairs.map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The keys and the request of the vectors.
#[cfg(test)]
mod vectors {
    use compute::secrets::Secret;

    pub fn secret() -> Secret {
        Secret::new("DMADSSfPfdaDjbK+RRUhS/aDrjsiZadgAUm8gRU2".to_owned())
    }
}
