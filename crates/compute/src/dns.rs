//! The DNS names of instances: made here for whoever tells them (the metadata service, DHCP, dialects), and read here for
//! whoever is asked for them (the name service). To what a name leads is not decided here.

use std::net::Ipv4Addr;

use crate::resource::Cloud;

/// The domain of OpenStack's guests, which Huawei's are.
pub const OPENSTACK_DOMAIN: &str = "novalocal";

/// Longest domain: with a host name and a dot before it, no longer than a DNS name can be (RFC 1035, 2.3.4).
const MAX_DOMAIN: usize = 253 - MAX_HOST_NAME - 1;
/// Longest host name, as Linux has it.
pub(crate) const MAX_HOST_NAME: usize = 64;
/// Longest part of a name between two dots.
const MAX_LABEL: usize = 63;

/// What the names of private addresses begin with, as `ip-10-0-0-5`.
const PRIVATE: &str = "ip-";
/// What the names of public addresses begin with, as `ec2-203-0-113-5`.
const PUBLIC: &str = "ec2-";
/// What names by MAC addresses begin with, as EC2 of 2007 has them: `domU-12-31-35-00-35-F3`.
const MAC: &str = "domU-";

/// The domains that names are in, in small letters and without a dot first or last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domains {
    internal: String,
    public: String,
}

/// Why domains cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// It is no domain.
    #[error(
        "{0:?} is no domain: names of letters, digits and hyphens with dots between them, at most 188 characters"
    )]
    Bad(String),
    /// Two kinds of names would be the same.
    #[error("{0:?} is taken by other names: choose another domain")]
    Taken(String),
}

impl Domains {
    /// The domain of names that are known in a guest's own network only, and that of the names of public addresses.
    ///
    /// # Errors
    ///
    /// One of them is no domain, or they are the same.
    pub fn new(internal: &str, public: &str) -> Result<Self, DomainError> {
        for domain in [internal, public] {
            if domain.len() > MAX_DOMAIN || !domain.split('.').all(is_label) {
                return Err(DomainError::Bad(domain.to_owned()));
            }
        }
        let (internal, public) = (internal.to_ascii_lowercase(), public.to_ascii_lowercase());
        if let Some(taken) = [&internal, &public].into_iter().find(|domain| *domain == OPENSTACK_DOMAIN) {
            return Err(DomainError::Taken(taken.clone()));
        }
        match internal == public {
            true => Err(DomainError::Taken(public)),
            false => Ok(Self { internal, public }),
        }
    }

    /// Those that a region has where nothing else is chosen.
    ///
    /// # Errors
    ///
    /// The region's name cannot be a part of a domain.
    pub fn of_region(region: &str) -> Result<Self, DomainError> {
        Self::new(&format!("{region}.compute.internal"), &format!("public.{region}.compute.internal"))
    }

    /// The domain of internal names in a guest of a cloud.
    pub fn internal(&self, cloud: Cloud) -> &str {
        match cloud {
            Cloud::Huawei => OPENSTACK_DOMAIN,
            Cloud::Native | Cloud::Ec2 | Cloud::Alibaba => &self.internal,
        }
    }

    /// All domains of internal names.
    pub fn all_internal(&self) -> [&str; 2] {
        [&self.internal, OPENSTACK_DOMAIN]
    }

    /// The domain of names of public addresses.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The internal name by a host name; one that has a domain already is one.
    pub fn of_host(&self, cloud: Cloud, host_name: &str) -> String {
        match host_name.contains('.') {
            true => host_name.to_owned(),
            false => format!("{host_name}.{}", self.internal(cloud)),
        }
    }

    /// The internal name by a private address.
    pub fn of_private(&self, cloud: Cloud, address: Ipv4Addr) -> String {
        format!("{}.{}", private_label(address), self.internal(cloud))
    }

    /// The name of a public address.
    pub fn of_public(&self, address: Ipv4Addr) -> String {
        format!("{PUBLIC}{}.{}", dashed(address), self.public)
    }

    /// What an internal name is by within its domain: in small letters, and `None` for a host name with a domain of its own.
    pub fn label_of(&self, host_name: &str) -> Option<String> {
        let name = host_name.to_ascii_lowercase();
        let mut labels = self.all_internal().into_iter().filter_map(|domain| {
            let label = name.strip_suffix(domain)?.strip_suffix('.')?;
            Some(label.to_owned())
        });
        let label = labels.next().unwrap_or(name);
        (!label.contains('.')).then_some(label)
    }
}

/// The host name of an instance that was given none, by its address.
pub fn private_label(address: Ipv4Addr) -> String {
    format!("{PRIVATE}{}", dashed(address))
}

/// The private address that a name is made of.
pub fn private_address(label: &str) -> Option<Ipv4Addr> {
    address(PRIVATE, label)
}

/// The public address that a name is made of.
pub fn public_address(label: &str) -> Option<Ipv4Addr> {
    address(PUBLIC, label)
}

/// What EC2 of 2007 calls an instance within its domain, by the MAC address of an interface.
pub fn mac_label(mac: [u8; 6]) -> String {
    format!("{MAC}{}", mac.map(|octet| format!("{octet:02X}")).join("-"))
}

/// The MAC address that such a name is made of.
pub fn mac_address(label: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut octets = without(MAC, label)?.split('-');
    for octet in &mut mac {
        *octet = u8::from_str_radix(octets.next()?, 16).ok()?;
    }
    // There are other ways to write the same, which are no names of it.
    label.eq_ignore_ascii_case(&mac_label(mac)).then_some(mac)
}

fn dashed(address: Ipv4Addr) -> String {
    address.to_string().replace('.', "-")
}

fn address(prefix: &str, label: &str) -> Option<Ipv4Addr> {
    without(prefix, label)?.replace('-', ".").parse().ok()
}

fn without<'a>(prefix: &str, label: &'a str) -> Option<&'a str> {
    let (start, rest) = label.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Whether this can stand between two dots of a name (RFC 1123, 2.1).
pub(crate) fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domains() -> Domains {
        Domains::new("Eu.Compute.Internal", "compute.example").unwrap()
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let address = Ipv4Addr::new(10, 0, 200, 5);
        assert_eq!(domains().of_private(Cloud::Ec2, address), "ip-10-0-200-5.eu.compute.internal");
        assert_eq!(domains().of_private(Cloud::Huawei, address), "ip-10-0-200-5.novalocal");
        assert_eq!(domains().of_public(address), "ec2-10-0-200-5.compute.example");
        assert_eq!(private_address(&private_label(address)), Some(address));
        assert_eq!(private_address("IP-10-0-200-5"), Some(address));
        assert_eq!(public_address("ec2-10-0-200-5"), Some(address));
        for label in
            ["ip-10-0-200-05", "ip-10-0-200", "ip-10-0-200-5-6", "ip-10.0.200.5.", "ip", "i\u{308}p-1"]
        {
            assert_eq!(private_address(label), None, "{label}");
        }
        let mac = [0x12, 0x31, 0x35, 0, 0x35, 0xf3];
        assert_eq!(mac_label(mac), "domU-12-31-35-00-35-F3");
        assert_eq!(mac_address("domu-12-31-35-00-35-f3"), Some(mac));
        for label in ["domU-12-31-35-00-35", "domU-12-31-35-0-35-F3", "domU-12-31-35-00-35-F3-00", "domU-"] {
            assert_eq!(mac_address(label), None, "{label}");
        }
    }

    #[test]
    fn host_names_get_a_domain_unless_they_have_one() {
        for (cloud, host_name, name, label) in [
            (Cloud::Native, "Web", "Web.eu.compute.internal", Some("web")),
            (Cloud::Huawei, "web", "web.novalocal", Some("web")),
            (Cloud::Native, "web.Novalocal", "web.Novalocal", Some("web")),
            (Cloud::Native, "web.eu.compute.internal", "web.eu.compute.internal", Some("web")),
            (Cloud::Native, "web.example", "web.example", None),
            (Cloud::Native, "a.b.novalocal", "a.b.novalocal", None),
        ] {
            assert_eq!(domains().of_host(cloud, host_name), name);
            assert_eq!(domains().label_of(host_name).as_deref(), label, "{host_name}");
        }
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        assert!(Domains::of_region("cn-hangzhou").is_ok());
        assert!(Domains::new("a", "b.a").is_ok());
        let long = ["x"; 94].join(".") + ".x";
        for (internal, public) in
            [("", "b"), ("a", "b."), ("a..c", "b"), ("a_c", "b"), ("-a", "b"), ("a", "b-"), ("a", &long)]
        {
            let error = Domains::new(internal, public).unwrap_err();
            assert!(matches!(error, DomainError::Bad(_)), "{internal:?} {public:?}");
        }
        for (internal, public) in [("a", "A"), ("novalocal", "b"), ("a", "NovaLocal")] {
            let error = Domains::new(internal, public).unwrap_err();
            assert!(matches!(error, DomainError::Taken(_)), "{internal:?} {public:?}");
        }
        assert!(Domains::of_region("a_b").is_err());
    }
}
