//! The OpenAPI document of the control socket: the types of this crate, and a row for each thing that can be asked.
//!
//! `cargo xtask api` writes it to `api/contracts/vmm.json`, and a test compares. That the rows are what the server
//! answers is a test of the VMM (`tests/routes.rs`), which has the server's own table.

use std::collections::BTreeMap;

use utoipa::openapi::header::Header;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, KnownFormat, License, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, RefOr, Required, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};

use crate::{
    CONSOLE_OFFSET_HEADER, CONSOLE_PROTOCOL, ErrorBody, ErrorCode, EventPage, MAX_BODY_BYTES, NicUpdate,
    VmConfig, VmInfo,
};

/// What a success carries.
enum Success {
    Vm,
    Events,
    Console,
    Metrics,
}

/// One thing that can be asked.
struct Row {
    method: HttpMethod,
    path: &'static str,
    /// Name of the operation, for generated clients.
    id: &'static str,
    summary: &'static str,
    description: &'static str,
    /// Query parameters, all of them whole numbers and none required.
    query: &'static [(&'static str, &'static str)],
    /// The type of its body, if it takes one.
    body: Option<&'static str>,
    success: Success,
    /// Codes of its own; `EVERYWHERE` comes on top.
    refusals: &'static [ErrorCode],
}

/// Codes that any request may meet.
const EVERYWHERE: &[ErrorCode] = &[
    ErrorCode::MalformedRequest,
    ErrorCode::RequestTimeout,
    ErrorCode::BodyTooLarge,
    ErrorCode::TooManyConnections,
];

const WAIT: (&str, &str) =
    ("wait_ms", "Longest time to wait for something new, in milliseconds, at most 60000. Default: 0.");

/// The document.
pub fn openapi() -> OpenApi {
    let mut paths = BTreeMap::<&str, PathItem>::new();
    for row in rows() {
        let item = PathItem::new(row.method.clone(), operation(&row));
        paths.entry(row.path).or_default().merge_operations(item);
    }
    let paths = paths.into_iter().fold(PathsBuilder::new(), |paths, (path, item)| paths.path(path, item));
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".into());
    let info = InfoBuilder::new()
        .title("bothy-vmm control socket")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(format!(
            "One virtual machine, driven over HTTP/1.1 on a unix socket of mode 0600. Every refusal is an `ErrorBody` with \
             a stable code; a path that does not exist is refused with `not_found`, a method that a path does not take \
             with `method_not_allowed`. Unknown fields and query parameters are refused. Bodies may have \
             {MAX_BODY_BYTES} bytes. Each request may be sent again: it then finds its own earlier result, or is refused.",
        )))
        .license(Some(license))
        .build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components().build())).build()
}

fn rows() -> Vec<Row> {
    use ErrorCode::{
        DiskInUse, DiskNotBootable, FileUnavailable, HostFailure, InvalidConfig, InvalidDisk, InvalidKernel,
        KvmUnavailable, NotFound, OutOfMemory, ShuttingDown, TapUnavailable, WrongState,
    };
    let look = |path, id, summary, success| Row {
        method: HttpMethod::Get,
        path,
        id,
        summary,
        description: "",
        query: &[],
        body: None,
        success,
        refusals: &[],
    };
    let act = |path, id, summary, description, refusals| Row {
        method: HttpMethod::Post,
        path,
        id,
        summary,
        description,
        query: &[],
        body: None,
        success: Success::Vm,
        refusals,
    };
    vec![
        look("/v1/vm", "info", "The VM as it is now", Success::Vm),
        Row {
            method: HttpMethod::Put,
            path: "/v1/vm",
            id: "configure",
            summary: "Gives it a configuration",
            description: "The whole configuration, in place of an earlier one. Nothing is opened yet but the console's log \
                          file. A machine that exists cannot be configured anew; sending it the configuration it has is \
                          no error.",
            query: &[],
            body: Some("VmConfig"),
            success: Success::Vm,
            refusals: &[InvalidConfig, OutOfMemory, FileUnavailable, WrongState, ShuttingDown],
        },
        Row {
            method: HttpMethod::Patch,
            path: "/v1/vm/nics/{index}",
            id: "update_nic",
            summary: "Changes a network interface of a machine that may be running",
            description: "Interfaces are counted from 0, in the order of the configuration, which is changed too.",
            query: &[],
            body: Some("NicUpdate"),
            success: Success::Vm,
            refusals: &[NotFound, InvalidConfig, WrongState, ShuttingDown],
        },
        act(
            "/v1/vm/boot",
            "boot",
            "Boots it",
            "Opens disks and taps, reads what is to boot, builds the machine and lets it run. Answers when vCPUs run. If \
             it fails, everything is closed again and the VM is configured as before.",
            &[
                WrongState,
                FileUnavailable,
                InvalidKernel,
                InvalidDisk,
                DiskInUse,
                DiskNotBootable,
                TapUnavailable,
                InvalidConfig,
                OutOfMemory,
                KvmUnavailable,
                HostFailure,
                ShuttingDown,
            ],
        ),
        act(
            "/v1/vm/pause",
            "pause",
            "Stops vCPUs and queues",
            "All state is kept. No error if it is paused already.",
            &[WrongState, ShuttingDown],
        ),
        act(
            "/v1/vm/resume",
            "resume",
            "Lets vCPUs and queues go on",
            "No error if it runs already.",
            &[WrongState, ShuttingDown],
        ),
        act(
            "/v1/vm/power-button",
            "power_button",
            "Presses the power button",
            "Answers at once; whether and when the guest powers off is its own business.",
            &[WrongState, HostFailure, ShuttingDown],
        ),
        act(
            "/v1/vm/reset",
            "reset",
            "Resets the machine",
            "Builds it anew from the same disks and taps, as a reset button would. What is to boot is read again. If that \
             fails, the machine ends with reason `reboot_failed`.",
            &[WrongState, ShuttingDown],
        ),
        act(
            "/v1/vm/kill",
            "kill",
            "Ends the machine at once",
            "As if its power was cut. The process stays and can be configured again. No error if it has ended already.",
            &[WrongState, ShuttingDown],
        ),
        Row {
            description: "As a page, or with `Accept: text/event-stream` as server-sent events without end: each has the \
                          event's number as its `id` and an `Event` as its `data`, and `Last-Event-ID` works as `since`.",
            query: &[
                ("since", "Only events after this number. Default: 0, which is all that are kept."),
                WAIT,
            ],
            ..look("/v1/vm/events", "events", "What happened to the VM", Success::Events)
        },
        Row {
            description: "The history from `offset` on, at most 1 MiB of it: ask again from the end of that for more. With `Connection: Upgrade` and `Upgrade: bothy-console` the \
                          connection becomes the console instead: output one way, input the other, both as they are.",
            query: &[
                (
                    "offset",
                    "Bytes of output, since the process started, before the first one wanted. Default: the oldest that is \
                     kept; for a stream, what comes from now on.",
                ),
                WAIT,
            ],
            ..look("/v1/vm/console", "console", "What the guest printed", Success::Console)
        },
        look("/v1/metrics", "metrics", "Counters as Prometheus text", Success::Metrics),
    ]
}

fn operation(row: &Row) -> Operation {
    let mut operation = OperationBuilder::new().operation_id(Some(row.id)).summary(Some(row.summary));
    if !row.description.is_empty() {
        operation = operation.description(Some(row.description));
    }
    for (name, description) in row.query {
        let number = integer().minimum(Some(0)).build();
        let parameter = ParameterBuilder::new()
            .name(*name)
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some(*description))
            .schema(Some(Schema::from(number)));
        operation = operation.parameter(parameter);
    }
    for name in row.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
        let number = integer().minimum(Some(0)).build();
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(Schema::from(number)));
        operation = operation.parameter(parameter);
    }
    if let Some(name) = row.body {
        let body = RequestBodyBuilder::new().content("application/json", reference(name));
        operation = operation.request_body(Some(body.required(Some(Required::True)).build()));
    }
    operation = success(operation, &row.success);
    refusals(operation, row.refusals).build()
}

fn success(operation: OperationBuilder, success: &Success) -> OperationBuilder {
    let answer = ResponseBuilder::new();
    let answer = match success {
        Success::Vm => {
            answer.description("The VM as it is now.").content("application/json", reference("VmInfo"))
        }
        Success::Events => answer
            .description("Events, oldest first.")
            .content("application/json", reference("EventPage"))
            .content("text/event-stream", text(None)),
        Success::Console => {
            let mut offset = Header::new(Schema::from(integer().build()));
            offset.description =
                Some("Where the body begins: later than asked for if the oldest bytes are gone.".into());
            let streams = ResponseBuilder::new().description(format!(
                "The connection is the console from here on (protocol {CONSOLE_PROTOCOL})."
            ));
            return operation.response("101", streams).response(
                "200",
                answer
                    .description("Output as the guest printed it.")
                    .header(CONSOLE_OFFSET_HEADER, offset)
                    .content("application/octet-stream", text(Some("binary"))),
            );
        }
        Success::Metrics => answer
            .description("Prometheus text, version 0.0.4.")
            .content("text/plain; version=0.0.4", text(None)),
    };
    operation.response("200", answer)
}

/// One response for each status, naming the codes that come with it.
fn refusals(mut operation: OperationBuilder, own: &[ErrorCode]) -> OperationBuilder {
    let mut by_status = BTreeMap::<u16, Vec<String>>::new();
    for code in EVERYWHERE.iter().chain(own) {
        by_status.entry(code.status()).or_default().push(format!("`{}`", code.as_str()));
    }
    for (status, codes) in by_status {
        let answer = ResponseBuilder::new().description(codes.join(", "));
        operation = operation
            .response(status.to_string(), answer.content("application/json", reference("ErrorBody")));
    }
    operation
}

fn reference(name: &str) -> Content {
    Content::new(Some(RefOr::<Schema>::Ref(Ref::from_schema_name(name))))
}

fn integer() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Int64);
    ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)).format(Some(format))
}

fn text(format: Option<&str>) -> Content {
    let format = format.map(|format| SchemaFormat::Custom(format.into()));
    Content::new(Some(Schema::from(
        ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).format(format).build(),
    )))
}

/// The types that rows name, and all that these are made of.
fn components() -> ComponentsBuilder {
    fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
        T::schemas(schemas);
    }
    let mut schemas = Vec::new();
    add::<VmConfig>(&mut schemas);
    add::<NicUpdate>(&mut schemas);
    add::<VmInfo>(&mut schemas);
    add::<EventPage>(&mut schemas);
    add::<ErrorBody>(&mut schemas);
    ComponentsBuilder::new().schemas_from_iter(schemas)
}

// By hand, because the derive does not see through the macro that defines the codes.
impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
        let schema = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(codes));
        Schema::from(schema.description(Some("Stable codes.")).build()).into()
    }
}

impl ToSchema for ErrorCode {}
