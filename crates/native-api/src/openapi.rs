//! The OpenAPI document of the native API: a path for each row of the table, and the types that rows name.
//!
//! `cargo xtask api` writes it to `api/contracts/native.json`, and a test compares. Types come from the derives; what is
//! put right here is what they cannot know: a type that is only answered with has no nulls, and no type has other fields
//! than its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::*;

/// The document.
pub fn openapi() -> Value {
    let mut schemas = components();
    for schema in schemas.values_mut() {
        refuse_others(schema);
    }
    let sent: Vec<_> = rows().flat_map(|route| route.body).collect();
    let sent = reached(&schemas, &sent);
    for (name, schema) in &mut schemas {
        if !sent.contains(name) {
            without_nulls(schema);
        }
    }
    let mut paths = Map::new();
    for route in rows() {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[route.method.as_str().to_ascii_lowercase()] = operation(route, &schemas);
    }
    // A query's type is told by its parameters.
    let queries: BTreeSet<_> = rows().flat_map(|route| route.query).collect();
    schemas.retain(|name, _| !queries.contains(name.as_str()));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "bothy native API",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": format!(
                "Instances and all they need, as `bothyd` has them. Over HTTP/1.1, on a unix socket of the host's operator and, \
                 if configured, over TCP.\n\nEvery refusal is an `ErrorBody` with a stable code, and has changed nothing. A \
                 path that does not exist is refused with `not_found`, a method that a path does not take with \
                 `method_not_allowed`. Unknown fields and query parameters are refused. Bodies may have {MAX_BODY_BYTES} \
                 bytes.\n\nOn the unix socket the caller is the operator, who acts for the account that the header \
                 `{ACCOUNT_HEADER}` names, or for the default account. Over TCP, callers give an access key's id and secret \
                 by HTTP Basic, and the token of temporary ones in the header `{SECURITY_TOKEN_HEADER}`.\n\nTimes are RFC 3339."
            ),
        },
        "security": [{ "access_key": [] }, { "operator": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "access_key": { "type": "http", "scheme": "basic", "description": "An access key's id and its secret." },
                "operator": {
                    "type": "apiKey",
                    "in": "header",
                    "name": ACCOUNT_HEADER,
                    "description": "On the unix socket only, where it may be left out: the account to act for.",
                },
            },
        },
    })
}

fn rows() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().flat_map(|rows| rows.iter())
}

fn operation(route: &Route, schemas: &BTreeMap<String, Value>) -> Value {
    let mut operation = json!({ "operationId": route.operation.as_str(), "summary": route.summary });
    let access = match route.access {
        Access::Open => "Needs no credentials.".to_owned(),
        Access::Caller => String::new(),
        Access::Policy => format!("Needs `{}`.", route.operation.action()),
        Access::Operator => "For the operator only.".to_owned(),
    };
    let description = [route.description, access.as_str()].join("\n\n");
    if !description.trim().is_empty() {
        operation["description"] = description.trim().into();
    }
    if route.access == Access::Open {
        operation["security"] = json!([]);
    }
    let mut parameters: Vec<Value> = path_parameters(route).collect();
    if let Some(name) = route.query {
        parameters.extend(query_parameters(&schemas[name]));
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(name) = route.body {
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": reference(name) } } });
    }
    let mut responses = Map::new();
    for success in route.successes {
        let mut response = response(success);
        let links = links(route, success, schemas);
        if !links.is_empty() {
            response["links"] = links.into();
        }
        responses.insert(success.status.to_string(), response);
    }
    let mut by_status = BTreeMap::<u16, Vec<String>>::new();
    for code in route.codes() {
        by_status.entry(code.status()).or_default().push(format!("`{}`", code.as_str()));
    }
    for (status, codes) in by_status {
        let content = json!({ "application/json": { "schema": reference("ErrorBody") } });
        responses.insert(status.to_string(), json!({ "description": codes.join(", "), "content": content }));
    }
    operation["responses"] = responses.into();
    operation
}

fn path_parameters(route: &Route) -> impl Iterator<Item = Value> {
    let names = route.path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| {
        let (_, type_name) =
            PATH_PARAMETERS.iter().find(|(known, _)| *known == name).expect("a test looks for each");
        json!({ "name": name, "in": "path", "required": true, "schema": reference(type_name) })
    })
}

/// The properties of a query's type, as parameters.
fn query_parameters(schema: &Value) -> Vec<Value> {
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|known| known == name))
    };
    let Some(properties) = schema["properties"].as_object() else { return Vec::new() };
    let parameters = properties.iter().map(|(name, schema)| {
        let mut schema = schema.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter =
            json!({ "name": name, "in": "query", "required": required(name), "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameter
    });
    parameters.collect()
}

fn response(success: &Success) -> Value {
    let description = success.description;
    let text = json!({ "schema": { "type": "string" } });
    match success.content {
        Content::Nothing => json!({ "description": description }),
        Content::Json(name) => {
            json!({ "description": description, "content": { "application/json": { "schema": reference(name) } } })
        }
        Content::Page(name) => {
            let page = reference(&format!("{name}Page"));
            json!({ "description": description, "content": { "application/json": { "schema": page } } })
        }
        Content::Lines(name) => {
            let description = format!("{description} Each line is an `{name}`.");
            json!({ "description": description, "content": { "application/x-ndjson": text } })
        }
        Content::Console => json!({
            "description": description,
            "headers": { CONSOLE_OFFSET_HEADER: {
                "description": "Where the body begins: later than asked for if the oldest bytes are gone.",
                "schema": reference("ConsoleOffset"),
            } },
            "content": { "application/octet-stream": { "schema": { "type": "string", "format": "binary" } } },
        }),
        Content::Prometheus => json!({ "description": description, "content": { "text/plain": text } }),
    }
}

/// What can be done with what was just made: the operations whose path begins with its id, and where the answer has that.
fn links(route: &Route, success: &Success, schemas: &BTreeMap<String, Value>) -> Map<String, Value> {
    let mut links = Map::new();
    let Content::Json(made) = success.content else { return links };
    if route.method != Method::Post || route.path.contains('{') {
        return links;
    }
    for target in rows() {
        let Some(parameter) = path_parameters(target).next() else { continue };
        let kind = &parameter["schema"]["$ref"];
        // Names are of one type, whatever they name: there, only the collection tells.
        let is_name = kind == &reference("PrincipalName")["$ref"];
        if is_name && !target.path.starts_with(&format!("{}/{{", route.path)) {
            continue;
        }
        let places = [
            "/id",
            "/name",
            "/image",
            "/reservation",
            "/instances/0/id",
            "/key_pair/id",
            "/access_key/id",
            "/fingerprint",
        ];
        let place = places.into_iter().find(|place| type_at(&schemas[made], place, schemas) == Some(kind));
        if let (Some(place), Some(name)) = (place, parameter["name"].as_str()) {
            let operation = target.operation.as_str();
            let mut parameters = Map::new();
            parameters.insert(name.to_owned(), format!("$response.body#{place}").into());
            links.insert(operation.into(), json!({ "operationId": operation, "parameters": parameters }));
        }
    }
    links
}

/// The type that is referred to at this place of a schema's values.
fn type_at<'a>(schema: &'a Value, place: &str, schemas: &'a BTreeMap<String, Value>) -> Option<&'a Value> {
    let mut schema = schema;
    for step in place.split('/').skip(1) {
        let name = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next());
        let whole = name.map_or(schema, |name| &schemas[name]);
        schema = if step == "0" { &whole["items"] } else { &whole["properties"][step] };
    }
    schema.get("$ref")
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// Names of all schemas that these lead to, themselves among them.
fn reached(schemas: &BTreeMap<String, Value>, from: &[&str]) -> BTreeSet<String> {
    fn follow(value: &Value, left: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                    left.extend(name.rsplit('/').next().map(str::to_owned));
                }
                fields.values().for_each(|value| follow(value, left));
            }
            Value::Array(values) => values.iter().for_each(|value| follow(value, left)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    let mut left: Vec<String> = from.iter().map(|&name| name.to_owned()).collect();
    while let Some(name) = left.pop() {
        if let Some(schema) = schemas.get(&name).filter(|_| !found.contains(&name)) {
            follow(schema, &mut left);
        }
        found.insert(name);
    }
    found
}

/// Says of each object with named fields that it has no others, and leaves out what a default says that is nothing.
fn refuse_others(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_nothing = |default: &Value| [json!(null), json!([]), json!({})].contains(default);
            if fields.get("default").is_some_and(is_nothing) {
                fields.remove("default");
            }
            if fields.contains_key("properties") && fields.get("type").is_some_and(|kind| kind == "object") {
                fields.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            fields.values_mut().for_each(refuse_others);
        }
        Value::Array(values) => values.iter_mut().for_each(refuse_others),
        _ => {}
    }
}

/// Takes null out of what a field can be: what there is none of is left out.
fn without_nulls(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::Array(kinds)) = fields.get_mut("type") {
                kinds.retain(|kind| kind != "null");
                if let [kind] = kinds.as_slice() {
                    let kind = kind.clone();
                    fields.insert("type".into(), kind);
                }
            }
            if let Some(Value::Array(choices)) = fields.get_mut("oneOf") {
                choices.retain(|choice| choice["type"] != "null");
                if let [choice] = choices.as_slice() {
                    let choice = choice.clone();
                    fields.remove("oneOf");
                    if let Value::Object(choice) = choice {
                        // A field's own description stays.
                        choice.into_iter().for_each(|(key, value)| {
                            fields.entry(key).or_insert(value);
                        });
                    }
                }
            }
            fields.values_mut().for_each(without_nulls);
        }
        Value::Array(values) => values.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

/// The types that rows name, and all that these are made of.
fn components() -> BTreeMap<String, Value> {
    let mut schemas = Vec::new();
    macro_rules! add {
        ($($name:ident)*) => {
            $(
                schemas.push((<$name as ToSchema>::name().into_owned(), <$name as PartialSchema>::schema()));
                <$name as ToSchema>::schemas(&mut schemas);
            )*
        };
    }
    add! {
        LaunchRequest Launched LaunchPreview Instance InstanceQuery UpdateInstance Force Renew ConsoleQuery ConnectQuery
        InstanceMetrics
        InstanceUserData Reservation InstanceType ImportImage CreateImage UpdateImage Image ImageQuery
        CreateVolume UpdateVolume Volume VolumeQuery AttachVolume CreateSnapshot Snapshot SnapshotQuery
        CreateKeyPair ImportKeyPair KeyPair NewKeyPair
        CreateVpc Vpc CreateSubnet Subnet CreateNetworkInterface UpdateNetworkInterface AttachNetworkInterface NetworkInterface
        CreateSecurityGroup UpdateSecurityRules SecurityGroup SecurityGroupCounts AllocateAddress AssociateAddress Address NetworkQuery
        CreateAccount UpdateAccount Account CreateUser User CreateAccessKey UpdateAccessKey AccessKey NewAccessKey
        AccessKeyQuery UploadCertificate Certificate CreateRole UpdateRole Role CreatePolicy UpdatePolicy Policy CreateSession Session Caller
        Region Zone Job EventQuery Event UsageQuery UsageRecord Health Host
        PageQuery Rename SetTags ErrorBody
        InstanceId ReservationId InstanceTypeName ImageId VolumeId SnapshotId KeyPairId VpcId SubnetId NetworkInterfaceId
        SecurityGroupId AddressId JobId AccountId PrincipalName AccessKeyId PageToken ConsoleOffset
    }
    let value = |schema: RefOr<Schema>| serde_json::to_value(schema).expect("a schema is JSON");
    let mut schemas: BTreeMap<String, Value> =
        schemas.into_iter().map(|(name, schema)| (name, value(schema))).collect();
    for route in rows() {
        for success in route.successes {
            if let Content::Page(name) = success.content {
                schemas.insert(format!("{name}Page"), page_of(name));
            }
        }
    }
    schemas
}

fn page_of(name: &str) -> Value {
    json!({
        "type": "object",
        "description": "A page of a list.",
        "required": ["items"],
        "properties": {
            "items": { "type": "array", "items": reference(name), "maxItems": PageSize::MAX.get() },
            "next_page_token": { "$ref": "#/components/schemas/PageToken", "description": "Where the next page begins; left out on the last one." },
        },
    })
}

// By hand, because the derive does not see through the macro that defines the codes.
impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
        let codes = ErrorCode::ALL.iter().map(|code| code.as_str());
        let schema = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(codes));
        Schema::from(schema.description(Some("Stable codes.")).build()).into()
    }
}

impl ToSchema for ErrorCode {}
