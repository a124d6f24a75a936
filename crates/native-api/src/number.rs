//! Numbers and lists with bounds: what is out of them is refused where a request is read.

use std::fmt;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

/// A number that is out of its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{number} is out of bounds: expected {min} to {max}")]
pub struct NumberError {
    /// The number.
    pub number: u64,
    /// The least that there may be.
    pub min: u64,
    /// The most that there may be.
    pub max: u64,
}

/// Defines the numbers with their bounds in one table.
macro_rules! numbers {
    ($($(#[doc = $doc:literal])* $name:ident, $type:ident, $min:literal..=$max:literal;)*) => {
        $(
            $(#[doc = $doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
            #[serde(into = "u64")]
            pub struct $name($type);

            impl $name {
                /// The least.
                pub const MIN: Self = Self($min);
                /// The most.
                pub const MAX: Self = Self($max);

                /// The number.
                pub fn get(self) -> $type {
                    self.0
                }
            }

            impl TryFrom<u64> for $name {
                type Error = NumberError;

                fn try_from(number: u64) -> Result<Self, NumberError> {
                    let error = NumberError { number, min: $min, max: $max };
                    match $type::try_from(number) {
                        Ok(number @ $min..=$max) => Ok(Self(number)),
                        _ => Err(error),
                    }
                }
            }

            impl From<$name> for u64 {
                fn from(number: $name) -> u64 {
                    number.0.into()
                }
            }

            impl<'de> Deserialize<'de> for $name {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    whole(deserializer)?.try_into().map_err(D::Error::custom)
                }
            }

            impl std::str::FromStr for $name {
                type Err = String;

                fn from_str(text: &str) -> Result<Self, String> {
                    let number: u64 = text.parse().map_err(|_| format!("{text:?} is no whole number"))?;
                    number.try_into().map_err(|error: NumberError| error.to_string())
                }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.0.fmt(f)
                }
            }

            // By hand, because the derive does not know the bounds.
            #[cfg(feature = "openapi")]
            impl utoipa::PartialSchema for $name {
                fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                    use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
                    const BOUNDS: [usize; 2] = [$min, $max];
                    let schema = ObjectBuilder::new()
                        .schema_type(SchemaType::new(Type::Integer))
                        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                        .description(Some(concat!($($doc, "\n"),*).trim()))
                        .minimum(Some(BOUNDS[0]))
                        .maximum(Some(BOUNDS[1]));
                    Schema::from(schema.build()).into()
                }
            }

            #[cfg(feature = "openapi")]
            impl utoipa::ToSchema for $name {}
        )*
    };
}

numbers! {
    /// Items on a page.
    PageSize, u32, 1..=100;
    /// Longest time to wait for something new, in milliseconds.
    WaitMs, u32, 0..=60_000;
    /// Instances of one launch.
    LaunchCount, u32, 1..=100;
    /// Size of a volume, in GiB.
    SizeGib, u32, 1..=32_768;
    /// Size in MiB.
    SizeMib, u32, 1..=67_108_864;
    /// Weeks or months that are paid for in advance.
    PeriodCount, u32, 1..=120;
    /// Hops.
    HopLimit, u8, 1..=64;
    /// A port of TCP that one connects to.
    TcpPort, u16, 1..=65_535;
    /// A port, or a type or code of ICMP.
    PortNumber, u16, 0..=65_535;
    /// The rank of a rule: from 1, which comes first, to 100.
    Priority, u8, 1..=100;
    /// How long temporary credentials last, in seconds.
    SessionSeconds, u32, 900..=43_200;
    /// A share of an account's allowance.
    Quota, u64, 0..=1_000_000_000;
    /// The number of a change. Numbers only grow, and also those of changes that are forgotten are never given again.
    Revision, u64, 0..=9_007_199_254_740_991;
    /// A place in a console's output, in bytes since it began.
    ConsoleOffset, u64, 0..=9_007_199_254_740_991;
}

impl Default for Priority {
    fn default() -> Self {
        Self::MIN
    }
}

/// Reads a whole number, which JSON may also write as `80.0`: some languages have no other numbers.
fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Whole;

    /// From here on not every whole number can be told from the next one.
    const INEXACT: f64 = 9_007_199_254_740_992.0;

    impl serde::de::Visitor<'_> for Whole {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number")
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
            number.try_into().map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(number), &self))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
            if number.fract() == 0.0 && (0.0..INEXACT).contains(&number) {
                // Nothing is cut off, by what was just looked at.
                return Ok(number as u64);
            }
            Err(E::invalid_type(serde::de::Unexpected::Float(number), &self))
        }
    }

    deserializer.deserialize_u64(Whole)
}

/// Reads a list of at most `MAX` items. Reading stops there: the rest is never kept.
pub(crate) fn at_most<'de, const MAX: usize, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Visitor<const MAX: usize, T>(std::marker::PhantomData<T>);

    impl<'de, const MAX: usize, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<MAX, T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a list of at most {MAX} items")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<T>, A::Error> {
            let mut items = Vec::new();
            while let Some(item) = sequence.next_element()? {
                if items.len() == MAX {
                    return Err(A::Error::custom(format!("there are more than {MAX} items")));
                }
                items.push(item);
            }
            Ok(items)
        }
    }

    deserializer.deserialize_seq(Visitor::<MAX, T>(std::marker::PhantomData))
}

/// As `at_most`, for lists that may be left out or null, which is then told from an empty one.
pub(crate) fn some_at_most<'de, const MAX: usize, T, D>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    /// Read as the list it is, if it is one.
    struct Limited<const MAX: usize, T>(Vec<T>);

    impl<'de, const MAX: usize, T: Deserialize<'de>> Deserialize<'de> for Limited<MAX, T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            at_most::<MAX, T, D>(deserializer).map(Self)
        }
    }

    let list = Option::<Limited<MAX, T>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.0))
}

/// Reads a field of which `null` means something else than leaving it out: what a `PATCH` takes away.
pub(crate) fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_however_they_are_written() {
        let read = |text: &str| serde_json::from_str::<SizeGib>(text).map(SizeGib::get).ok();
        assert_eq!((read("80"), read("80.0"), read("8e1")), (Some(80), Some(80), Some(80)));
        for text in ["80.5", "-80", "-80.0", "1e300", "0.0", "32769.0", "\"80\"", "null", "true"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(serde_json::to_string(&SizeGib::MAX).ok().as_deref(), Some("32768"));
    }
}
