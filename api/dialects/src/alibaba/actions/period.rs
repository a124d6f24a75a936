//! Periods that can be paid for in advance, as the cloud has them.

use compute::charge::Period;

use super::super::Refusal;
use super::super::parameters::Parameters;

/// Months that can be bought.
const MONTHS: &[u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 24, 36, 48, 60];
/// Weeks that can be bought.
const WEEKS: &[u32] = &[1, 2, 3, 4];
/// Months by which an instance can be renewed by itself.
const RENEWAL_MONTHS: &[u32] = &[1, 2, 3, 6, 12];
/// Weeks by which it can.
const RENEWAL_WEEKS: &[u32] = &[1, 2, 3];

fn invalid(name: &str) -> Refusal {
    Refusal::new(400, "InvalidPeriod", format!("The specified {name} is not valid."))
}

fn read(
    parameters: &Parameters,
    name: &str,
    months: &[u32],
    weeks: &[u32],
) -> Result<Option<Period>, Refusal> {
    let count: Option<u32> = parameters.parsed(name).map_err(|_| invalid(name))?;
    let is_weeks = match parameters.get("PeriodUnit") {
        Some(unit) if unit.eq_ignore_ascii_case("week") => true,
        Some(unit) if unit.eq_ignore_ascii_case("month") => false,
        Some(_) => return Err(parameters.invalid("PeriodUnit")),
        None => false,
    };
    match count {
        None => Ok(None),
        Some(count) if is_weeks && weeks.contains(&count) => Ok(Some(Period::Weeks(count))),
        Some(count) if !is_weeks && months.contains(&count) => Ok(Some(Period::Months(count))),
        Some(_) => Err(invalid(name)),
    }
}

/// A period to buy.
pub fn bought(parameters: &Parameters) -> Result<Period, Refusal> {
    read(parameters, "Period", MONTHS, WEEKS)?.ok_or_else(|| Refusal::missing("Period"))
}

/// A period to renew by.
pub fn renewal(parameters: &Parameters, name: &str) -> Result<Option<Period>, Refusal> {
    read(parameters, name, RENEWAL_MONTHS, RENEWAL_WEEKS)
}

/// A period's number and unit, in the cloud's words.
pub fn told(period: Option<Period>) -> (u32, &'static str) {
    match period {
        None => (0, "Month"),
        Some(Period::Months(count)) => (count, "Month"),
        Some(Period::Weeks(count)) => (count, "Week"),
    }
}
