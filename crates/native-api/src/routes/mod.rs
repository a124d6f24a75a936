//! The table of routes: every operation with its method, path, types, answers and who may ask. The OpenAPI document, the
//! client and the daemon's router all come from it.

mod access;
mod compute;
mod network;
mod node;

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::ErrorCode;

/// An HTTP method that the API takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "RFC 9110 says what they are")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// As HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Everybody, without credentials.
    Open,
    /// Every caller with credentials.
    Caller,
    /// Callers whose policies allow `Operation::action`.
    Policy,
    /// Only the operator of the host.
    Operator,
}

/// What the body of a success is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Content {
    /// There is none.
    Nothing,
    /// JSON of the type of this name.
    Json(&'static str),
    /// JSON: a `Page` of the type of this name.
    Page(&'static str),
    /// JSON, one value of the type of this name on each line.
    Lines(&'static str),
    /// Console output as the guest printed it, with `CONSOLE_OFFSET_HEADER`; or, by an upgrade, the console itself.
    Console,
    /// Prometheus text, version 0.0.4.
    Prometheus,
}

/// One way in which an operation succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Success {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub content: Content,
    /// When, in words.
    pub description: &'static str,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The operation.
    pub operation: Operation,
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces; see `PATH_PARAMETERS`.
    pub path: &'static str,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else there is to say, in Markdown.
    pub description: &'static str,
    /// Who may ask.
    pub access: Access,
    /// The type of the query, if it takes one.
    pub query: Option<&'static str>,
    /// The type of the body, which is JSON, if it takes one.
    pub body: Option<&'static str>,
    /// How it succeeds, the usual way first.
    pub successes: &'static [Success],
    /// Codes of its own; `codes` has all.
    own_codes: &'static [ErrorCode],
}

/// Codes that every request may meet.
pub const EVERYWHERE: &[ErrorCode] = &[
    ErrorCode::MalformedRequest,
    ErrorCode::RequestTimeout,
    ErrorCode::BodyTooLarge,
    ErrorCode::TooManyRequests,
    ErrorCode::Internal,
    ErrorCode::Unavailable,
];

/// Codes that every request may meet that takes credentials.
pub const WITH_CREDENTIALS: &[ErrorCode] = &[ErrorCode::Unauthenticated, ErrorCode::AccessDenied];

/// The path parameters and their types. A value that does not have its type's form is `not_found`: there is no such resource.
pub const PATH_PARAMETERS: &[(&str, &str)] = &[
    ("instance_id", "InstanceId"),
    ("reservation_id", "ReservationId"),
    ("instance_type", "InstanceTypeName"),
    ("image_id", "ImageId"),
    ("volume_id", "VolumeId"),
    ("snapshot_id", "SnapshotId"),
    ("key_pair_id", "KeyPairId"),
    ("vpc_id", "VpcId"),
    ("subnet_id", "SubnetId"),
    ("network_interface_id", "NetworkInterfaceId"),
    ("security_group_id", "SecurityGroupId"),
    ("address_id", "AddressId"),
    ("job_id", "JobId"),
    ("account_id", "AccountId"),
    ("user_name", "PrincipalName"),
    ("access_key_id", "AccessKeyId"),
    ("fingerprint", "Sha256"),
    ("role_name", "PrincipalName"),
    ("policy_name", "PrincipalName"),
];

// Rows are made by these, so that each says only what is its own.
impl Route {
    const fn new(
        method: Method,
        path: &'static str,
        operation: Operation,
        summary: &'static str,
        successes: &'static [Success],
    ) -> Self {
        let own_codes = &[];
        let access = Access::Policy;
        Self {
            operation,
            method,
            path,
            summary,
            description: "",
            access,
            query: None,
            body: None,
            successes,
            own_codes,
        }
    }

    const fn about(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    const fn query(mut self, name: &'static str) -> Self {
        self.query = Some(name);
        self
    }

    const fn body(mut self, name: &'static str) -> Self {
        self.body = Some(name);
        self
    }

    const fn codes_of_its_own(mut self, codes: &'static [ErrorCode]) -> Self {
        self.own_codes = codes;
        self
    }

    /// Every code that it may answer with, each once, in the order of `ErrorCode::ALL`.
    pub fn codes(&self) -> Vec<ErrorCode> {
        let credentials = if self.access == Access::Open { &[] } else { WITH_CREDENTIALS };
        let unsupported: &[ErrorCode] =
            if self.body.is_some() { &[ErrorCode::UnsupportedMediaType] } else { &[] };
        // Without a parameter there is nothing that could be missing.
        let missing: &[ErrorCode] = if self.path.contains('{') { &[ErrorCode::NotFound] } else { &[] };
        // A token that no list gave.
        let is_page = |success: &Success| matches!(success.content, Content::Page(_));
        let invalid: &[ErrorCode] =
            if self.successes.iter().any(is_page) { &[ErrorCode::InvalidParameter] } else { &[] };
        let groups = [EVERYWHERE, credentials, unsupported, missing, invalid, self.own_codes];
        let may = |code: &ErrorCode| groups.iter().any(|group| group.contains(code));
        ErrorCode::ALL.iter().copied().filter(may).collect()
    }

    /// The path with its parameters' values, encoded.
    pub fn path_with(&self, values: &[&str]) -> String {
        let mut values = values.iter();
        let fill = |segment: &'static str| {
            if !segment.starts_with('{') {
                return Cow::Borrowed(segment);
            }
            let value = values.next().copied().unwrap_or_default();
            percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
                .into()
        };
        self.path.split('/').map(fill).collect::<Vec<_>>().join("/")
    }
}

/// Why there is no route for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// No such path.
    Path,
    /// The path takes only these methods, for the header `Allow`.
    Method(Vec<Method>),
}

/// The route of a request, with the values of its path's parameters in their order, decoded.
#[derive(Clone, Debug)]
pub struct Found<'a> {
    /// The route.
    pub route: &'static Route,
    /// The values.
    pub parameters: Vec<Cow<'a, str>>,
}

/// Finds the route of a request by its method, as HTTP writes it, and its path without the query.
///
/// # Errors
/// There is none.
pub fn find<'a>(method: &str, path: &'a str) -> Result<Found<'a>, NotFound> {
    let mut allowed = Vec::new();
    for route in ROUTES.iter().flat_map(|rows| rows.iter()) {
        let Some(parameters) = parameters(route.path, path) else { continue };
        if route.method.as_str() == method {
            return Ok(Found { route, parameters });
        }
        allowed.push(route.method);
    }
    Err(if allowed.is_empty() { NotFound::Path } else { NotFound::Method(allowed) })
}

/// The values of a pattern's parameters, if the path is of this pattern.
fn parameters<'a>(pattern: &str, path: &'a str) -> Option<Vec<Cow<'a, str>>> {
    let mut values = Vec::new();
    let mut segments = path.split('/');
    for wanted in pattern.split('/') {
        let segment = segments.next()?;
        if wanted.starts_with('{') {
            let value = percent_decode_str(segment).decode_utf8().ok()?;
            if value.is_empty() {
                return None;
            }
            values.push(value);
        } else if wanted != segment {
            return None;
        }
    }
    segments.next().is_none().then_some(values)
}

const fn json(status: u16, name: &'static str, description: &'static str) -> Success {
    Success { status, content: Content::Json(name), description }
}

const fn page(name: &'static str, description: &'static str) -> Success {
    Success { status: 200, content: Content::Page(name), description }
}

const DONE: Success = Success { status: 204, content: Content::Nothing, description: "It is done." };

/// Defines the operations; the same names are those of actions in policies.
macro_rules! operations {
    ($($name:ident)*) => {
        /// What can be asked. Its name in the OpenAPI document, and of its action in policies, is its name here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "their rows tell what they do")]
        pub enum Operation {
            $($name),*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// The action that policies allow or deny.
            pub fn action(self) -> &'static str {
                match self { $(Self::$name => concat!("bothy:", stringify!($name))),* }
            }
        }
    };
}

operations! {
    LaunchInstances ListInstances GetInstance UpdateInstance StartInstance StopInstance RebootInstance RenewInstance
    TerminateInstance GetConsole ConnectToInstance GetInstanceMetrics GetUserData SetInstanceTags
    ListReservations GetReservation
    ListInstanceTypes GetInstanceType
    ImportImage CreateImage ListImages GetImage UpdateImage DeregisterImage SetImageTags
    CreateVolume ListVolumes GetVolume UpdateVolume AttachVolume DetachVolume DeleteVolume SetVolumeTags
    CreateSnapshot ListSnapshots GetSnapshot UpdateSnapshot DeleteSnapshot SetSnapshotTags
    CreateKeyPair ImportKeyPair ListKeyPairs GetKeyPair DeleteKeyPair SetKeyPairTags
    ListRegions ListZones
    CreateVpc ListVpcs GetVpc UpdateVpc DeleteVpc SetVpcTags
    CreateSubnet ListSubnets GetSubnet UpdateSubnet DeleteSubnet SetSubnetTags
    CreateNetworkInterface ListNetworkInterfaces GetNetworkInterface UpdateNetworkInterface AttachNetworkInterface
    DetachNetworkInterface DeleteNetworkInterface SetNetworkInterfaceTags
    CreateSecurityGroup ListSecurityGroups GetSecurityGroup UpdateSecurityGroup UpdateSecurityGroupRules DeleteSecurityGroup
    SetSecurityGroupTags GetSecurityGroupCounts
    AllocateAddress ListAddresses GetAddress AssociateAddress DisassociateAddress ReleaseAddress SetAddressTags
    ListJobs GetJob
    ListUsage
    CreateAccount ListAccounts GetAccount UpdateAccount DeleteAccount
    CreateUser ListUsers GetUser DeleteUser AttachUserPolicy DetachUserPolicy
    CreateAccessKey ListAccessKeys UpdateAccessKey DeleteAccessKey
    UploadCertificate ListCertificates DeleteCertificate
    CreateRole ListRoles GetRole UpdateRole DeleteRole AttachRolePolicy DetachRolePolicy
    CreatePolicy ListPolicies GetPolicy UpdatePolicy DeletePolicy
    CreateSession GetCaller
    StreamEvents GetHealth GetMetrics GetHost
}

impl Operation {
    /// Its row.
    pub fn route(self) -> &'static Route {
        let mut rows = ROUTES.iter().flat_map(|rows| rows.iter());
        rows.find(|route| route.operation == self).expect("a test sees that each has its row")
    }
}

/// The table, in parts.
pub const ROUTES: &[&[Route]] = &[compute::ROWS, network::ROWS, access::ROWS, node::ROWS];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_one_row() {
        let rows: Vec<_> = ROUTES.iter().flat_map(|rows| rows.iter()).collect();
        assert_eq!(rows.len(), Operation::ALL.len());
        for operation in Operation::ALL {
            assert_eq!(operation.route().operation, *operation);
        }
    }

    #[test]
    fn each_row_is_found_by_its_own_path() {
        for route in ROUTES.iter().flat_map(|rows| rows.iter()) {
            let names: Vec<_> = route.path.split('/').filter(|segment| segment.starts_with('{')).collect();
            for name in &names {
                let name = name.trim_matches(['{', '}']);
                assert!(PATH_PARAMETERS.iter().any(|(known, _)| *known == name), "{name}");
            }
            // Characters that a path must not have as they are.
            let values: Vec<_> = (0..names.len()).map(|index| format!("a/b?{index}=%+ü")).collect();
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            let path = route.path_with(&values);
            let found = find(route.method.as_str(), &path).expect("it has a row");
            assert_eq!(found.route.operation, route.operation, "{path}");
            assert_eq!(found.parameters, values);
        }
    }

    #[test]
    fn what_has_no_row_is_told_apart() {
        assert_eq!(find("GET", "/v2/instances").unwrap_err(), NotFound::Path);
        assert_eq!(find("GET", "/v1/instances/").unwrap_err(), NotFound::Path);
        assert_eq!(find("GET", "/v1/instances/i-1/x").unwrap_err(), NotFound::Path);
        assert_eq!(find("GET", "/v1/instances/%ff").unwrap_err(), NotFound::Path);
        let methods = NotFound::Method(vec![Method::Post, Method::Get]);
        assert_eq!(find("TRACE", "/v1/instances").unwrap_err(), methods);
    }

    #[test]
    fn codes_depend_on_what_can_go_wrong() {
        let health = Operation::GetHealth.route().codes();
        assert_eq!(health, EVERYWHERE);
        let start = Operation::StartInstance.route().codes();
        assert!(start.contains(&ErrorCode::NotFound) && start.contains(&ErrorCode::Unauthenticated));
        assert!(!start.contains(&ErrorCode::UnsupportedMediaType), "it takes no body");
    }
}
