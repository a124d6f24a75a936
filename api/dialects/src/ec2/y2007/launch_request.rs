//! What a request to launch says: instances of one image by Query, of several by SOAP, each with its own fewest and most, and
//! for all of them groups, data and addresses.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use compute::capacity::{Amounts, Ask, narrow};
use compute::compute::MAX_LAUNCH;

use super::super::parameters::Parameters;
use super::super::{Call, Refusal};

/// Most bytes of user data, decoded.
const MAX_USER_DATA: usize = 16 << 10;

/// Instances of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The image.
    pub image: String,
    /// The fewest.
    pub min: u32,
    /// The most.
    pub max: u32,
    /// The key pair's name.
    pub key_pair: Option<String>,
}

/// The images that are to be launched.
pub fn wanted(call: &Call<'_>) -> Result<Vec<Wanted>, Refusal> {
    let listed = call.parameters.groups("Launch")?;
    let mut all = match listed.as_slice() {
        [] => vec![one(call.parameters)?],
        listed => listed.iter().map(one).collect::<Result<Vec<_>, _>>()?,
    };
    limit(&mut all)?;
    Ok(all)
}

fn one(parameters: &Parameters) -> Result<Wanted, Refusal> {
    let image = parameters.required("ImageId")?.to_owned();
    let count = |name: &str| -> Result<u32, Refusal> {
        parameters.required(name)?;
        parameters.parsed(name)?.ok_or_else(|| parameters.invalid(name))
    };
    let (min, max) = (count("MinCount")?, count("MaxCount")?);
    if max == 0 || min > max {
        let why = format!("At least one, and at most as many as the maximum: not {min} to {max}");
        return Err(Refusal::combination(why));
    }
    if min == 0 {
        return Err(parameters.invalid("MinCount"));
    }
    Ok(Wanted { image, min, max, key_pair: parameters.get("KeyName").map(str::to_owned) })
}

/// Takes no more than one launch can have.
fn limit(all: &mut [Wanted]) -> Result<(), Refusal> {
    let ask = |one: &Wanted| Ask { each: Amounts::default(), min: one.min, max: one.max };
    let mut asks: Vec<Ask> = all.iter().map(ask).collect();
    if narrow(asks.iter_mut(), u64::from(MAX_LAUNCH)) > u64::from(MAX_LAUNCH) {
        let why = format!("At most {MAX_LAUNCH} instances can be launched at once");
        return Err(Refusal::new(400, "InstanceLimitExceeded", why));
    }
    for (one, ask) in all.iter_mut().zip(asks) {
        one.max = ask.max;
    }
    Ok(())
}

/// The data for the guests. What is not of base64's alphabet is passed over, as the cloud did; padding must be there.
pub fn user_data(parameters: &Parameters) -> Result<Vec<u8>, Refusal> {
    for (name, only) in [("UserData.Version", "1.0"), ("UserData.Encoding", "base64")] {
        if parameters.get(name).is_some_and(|value| value != only) {
            return Err(parameters.invalid(name));
        }
    }
    let text = parameters.get("UserData").unwrap_or_default();
    let is_of_it = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/' | '=');
    let text: String = text.chars().filter(is_of_it).collect();
    let invalid = |why: &str| Refusal::new(400, "InvalidParameterValue", why);
    let data = BASE64_STANDARD.decode(text).map_err(|_| invalid("User data is not in base64"))?;
    match data.len() {
        0..=MAX_USER_DATA => Ok(data),
        _ => Err(invalid("User data is limited to 16384 bytes")),
    }
}

/// Checks how the instances are to be reached: there is but one way here, which old clients have two words for.
pub fn check_addressing(parameters: &Parameters) -> Result<(), Refusal> {
    parameters.choice("AddressingType", &[("public", ()), ("direct", ())]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::super::super::parameters::of;
    use super::*;

    fn many(counts: &[(u32, u32)]) -> Vec<Wanted> {
        let one = |&(min, max): &(u32, u32)| Wanted { image: String::new(), min, max, key_pair: None };
        counts.iter().map(one).collect()
    }

    #[test]
    fn counts_make_sense_or_are_refused() {
        let asked =
            |min: &str, max: &str| one(&of(&[("ImageId", "a"), ("MinCount", min), ("MaxCount", max)]));
        assert_eq!(asked("2", "5").map(|one| (one.min, one.max)), Ok((2, 5)));
        for (min, max, code) in [
            ("0", "0", "InvalidParameterCombination"),
            ("3", "2", "InvalidParameterCombination"),
            ("0", "2", "InvalidParameterValue"),
            ("-1", "2", "InvalidParameterValue"),
            ("1", "many", "InvalidParameterValue"),
            ("", "2", "MissingParameter"),
            ("1", "", "MissingParameter"),
        ] {
            assert_eq!(asked(min, max).unwrap_err().code, code, "{min} to {max}");
        }
    }

    #[test]
    fn a_launch_has_no_more_than_it_can() {
        let limited = |counts: &[(u32, u32)]| {
            let mut all = many(counts);
            limit(&mut all).map(|()| all.iter().map(|one| one.max).collect::<Vec<_>>())
        };
        assert_eq!(limited(&[(5, 10), (20, 40)]), Ok(vec![10, 40]));
        assert_eq!(limited(&[(1, u32::MAX)]), Ok(vec![MAX_LAUNCH]));
        assert_eq!(limited(&[(10, 90), (20, 90)]), Ok(vec![45, 55]), "each 35 above its fewest");
        assert_eq!(limited(&[(50, 50), (50, 50)]), Ok(vec![50, 50]));
        assert_eq!(limited(&[(u32::MAX, u32::MAX), (1, 1)]).unwrap_err().code, "InstanceLimitExceeded");
    }

    #[test]
    fn user_data_is_read_kindly() {
        let read = |text: &str| user_data(&of(&[("UserData", text)]));
        assert_eq!(read("aGVs\nbG8*=").unwrap(), b"hello");
        assert_eq!(read("").unwrap(), b"");
        let full = BASE64_STANDARD.encode(vec![7; MAX_USER_DATA]);
        assert_eq!(read(&full).unwrap().len(), MAX_USER_DATA);
        for bad in ["aGVsbG8", "a===", &BASE64_STANDARD.encode(vec![7; MAX_USER_DATA + 1])] {
            assert_eq!(read(bad).unwrap_err().code, "InvalidParameterValue");
        }
        let odd = of(&[("UserData", "aGVsbG8="), ("UserData.Encoding", "hex")]);
        assert_eq!(user_data(&odd).unwrap_err().code, "InvalidParameterValue");
    }
}
