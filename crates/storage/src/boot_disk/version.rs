//! Which kernel is newer: versions compared as dpkg and `sort -V` do, so `6.1.0-9` < `6.1.0-10` < `6.12`.

use std::cmp::Ordering;

/// Compares two kernel versions as found in file names, oldest first.
///
/// Runs of digits compare as numbers, the rest by character with letters before other signs; `~` comes before everything,
/// even the end. `-rc1` counts as `~rc1` (before the release) and a trailing `.old` as `~old` (a kept predecessor).
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (normal(left), normal(right));
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let order = compare_text(split(&mut left, false), split(&mut right, false))
            .then_with(|| compare_digits(split(&mut left, true), split(&mut right, true)));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// The version in a kernel's file name: what follows `vmlinuz-` or its like, empty when there is none.
#[must_use]
pub fn of_kernel(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let prefixes = ["vmlinuz-", "vmlinux-", "kernel-", "bzImage-", "Image-", "linux-"];
    prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or("")
}

fn normal(version: &str) -> String {
    let version = version.replace("-rc", "~rc");
    match version.strip_suffix(".old") {
        Some(kept) => format!("{kept}~old"),
        None => version,
    }
}

/// Takes the leading run of digits, or of anything else, off `rest`.
fn split<'a>(rest: &mut &'a [u8], digits: bool) -> &'a [u8] {
    let end = rest.iter().position(|byte| byte.is_ascii_digit() != digits).unwrap_or(rest.len());
    let (run, later) = rest.split_at(end);
    *rest = later;
    run
}

fn compare_text(left: &[u8], right: &[u8]) -> Ordering {
    (0..left.len().max(right.len()))
        .map(|at| weight(left.get(at)).cmp(&weight(right.get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    }
}

/// As numbers of any length: without leading zeros the longer one is greater.
fn compare_digits(left: &[u8], right: &[u8]) -> Ordering {
    let strip = |digits: &[u8]| digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let (left, right) = (&left[strip(left)..], &right[strip(right)..]);
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn orders_kernels_as_dpkg_does() {
        let oldest_first = [
            "",
            "4.19.0-27-amd64",
            "5.15.0-91-generic",
            "6.1.0-9-amd64",
            "6.1.0-9-cloud-amd64",
            "6.1.0-10-amd64",
            "6.1.0-10-amd64+1",
            "6.5.6-300.fc39.x86_64",
            "6.12~rc4-amd64",
            "6.12-rc5-amd64",
            "6.12-amd64.old",
            "6.12-amd64",
            "6.12.1-amd64",
            "6.100.0",
        ];
        for (at, older) in oldest_first.iter().enumerate() {
            assert_eq!(compare(older, older), Ordering::Equal);
            for newer in &oldest_first[at + 1..] {
                assert_eq!(compare(older, newer), Ordering::Less, "{older} < {newer}");
                assert_eq!(compare(newer, older), Ordering::Greater, "{newer} > {older}");
            }
        }
        assert_eq!(compare("6.01", "6.1"), Ordering::Equal);
        assert_eq!(compare("", "0"), Ordering::Equal);
    }

    #[test]
    fn finds_the_version_in_a_file_name() {
        let cases = [
            ("/boot/vmlinuz-6.1.0-18-cloud-amd64", "6.1.0-18-cloud-amd64"),
            ("/vmlinuz-6.5.6-300.fc39.x86_64", "6.5.6-300.fc39.x86_64"),
            ("vmlinuz-virt", "virt"),
            ("/boot/vmlinuz", ""),
            ("/0123/6.5.6/linux", ""),
            ("", ""),
        ];
        for (path, version) in cases {
            assert_eq!(of_kernel(path), version, "{path}");
        }
    }

    proptest! {
        #[test]
        fn is_an_order(a in "[0-9a-z.~+-]{0,12}", b in "[0-9a-z.~+-]{0,12}", c in "[0-9a-z.~+-]{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
