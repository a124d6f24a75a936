//! What goes over the wire: GET and POST, JSON and XML, signatures and what is wrong with them.

use dialects::alibaba::Service;
use dialects::server::Limits;

use super::caller::{Caller, ECS, Host, STS, send};

#[tokio::test]
async fn parameters_come_in_the_query_or_in_a_form() {
    let host = Host::start().await;
    let root = host.root().await;
    let head = |length: usize| {
        format!(
            "HTTP/1.1\r\nhost: ecs.local\r\nconnection: close\r\ncontent-length: {length}\r\ncontent-type: application/x-www-form-urlencoded\r\n\r\n"
        )
    };
    let query = root.signed("POST", &root.parameters(ECS, "DescribeRegions", &[]));
    let answer = send(host.address, &format!("POST /?{query} {}", head(0))).await;
    assert_eq!(answer.ok()["Regions"]["Region"][0]["RegionId"], "local");
    assert!(answer.head.contains("application/json;charset=utf-8"), "{}", answer.head);
    let form = root.signed("POST", &root.parameters(ECS, "DescribeRegions", &[]));
    let answer = send(host.address, &format!("POST / {}{form}", head(form.len()))).await;
    assert_eq!(answer.ok()["Regions"]["Region"][0]["RegionId"], "local");
    let xml = root.call(ECS, "DescribeRegions", &[("Format", "XML")]).await;
    assert_eq!(xml.status, 200);
    assert!(xml.head.contains("text/xml;charset=utf-8"), "{}", xml.head);
    let expected = "<DescribeRegionsResponse><Regions><Region><LocalName>local</LocalName>";
    assert!(xml.text.contains(expected) && xml.text.contains("<RequestId>"), "{}", xml.text);
    let xml = root.call(ECS, "Nothing", &[("Format", "None")]).await;
    assert_eq!(xml.status, 404);
    assert!(
        xml.text.contains("<HostId>ecs.local</HostId><Code>InvalidAction.NotFound</Code>"),
        "{}",
        xml.text
    );
}

#[tokio::test]
async fn what_is_not_signed_right_is_refused_by_its_code() {
    let host = Host::start().await;
    let root = host.root().await;
    let get = async |query: String| {
        send(host.address, &format!("GET /?{query} HTTP/1.1\r\nhost: ecs.local\r\nconnection: close\r\n\r\n"))
            .await
    };
    let parameters = root.parameters(ECS, "DescribeRegions", &[]);
    let changed = |name: &str, value: &str| {
        let mut parameters = parameters.clone();
        // Some of them are looked at when the nonce is used up.
        parameters.insert("SignatureNonce".to_owned(), format!("of {name} {value}"));
        parameters.insert(name.to_owned(), value.to_owned());
        root.signed("GET", &parameters)
    };
    let cases = [
        (changed("AccessKeyId", "LTAIxxxxxxxxxxxx"), 404, "InvalidAccessKeyId.NotFound"),
        (changed("Timestamp", "yesterday"), 400, "InvalidTimeStamp.Format"),
        (changed("Timestamp", "2026-11-23T23:44:59Z"), 400, "InvalidTimeStamp.Expired"),
        (changed("Timestamp", "2026-11-24T00:15:01Z"), 400, "InvalidTimeStamp.Expired"),
        (changed("SignatureMethod", "HMAC-MD5"), 400, "InvalidSignatureMethod"),
        (changed("SignatureVersion", "2.0"), 400, "InvalidSignatureVersion"),
        (changed("SignatureNonce", ""), 400, "IncompleteSignature"),
        (changed("SecurityToken", "of somebody else"), 400, "InvalidSecurityToken.MismatchWithAccessKey"),
        (changed("Version", "2014-05-27"), 400, "InvalidVersion"),
        (changed("RegionId", "elsewhere"), 200, ""),
        (changed("DryRun", "perhaps"), 400, "InvalidParameter"),
    ];
    for (query, status, code) in cases {
        let answer = get(query).await;
        if status == 200 {
            answer.ok()
        } else {
            answer.refused(status, code)
        };
    }
    // The SDK compares what is behind the first colon with what it signed itself.
    let mut wrong = root.clone();
    wrong.secret.push('x');
    let parameters = wrong.parameters(ECS, "DescribeInstances", &[("InstanceName", "a b*~")]);
    let query = wrong.signed("GET", &parameters);
    let message =
        get(query).await.refused(400, "SignatureDoesNotMatch")["Message"].as_str().unwrap().to_owned();
    let (_, string) = message.split_once(':').unwrap();
    assert!(
        string.starts_with("GET&%2F&AccessKeyId%3D") && string.contains("InstanceName%3Da%2520b%252A~"),
        "{string}"
    );
}

#[tokio::test]
async fn a_request_is_answered_once_even_after_a_restart() {
    let host = Host::start().await;
    let root = host.root().await;
    let query = root.signed("GET", &root.parameters(STS, "GetCallerIdentity", &[]));
    let request = format!("GET /?{query} HTTP/1.1\r\nhost: ecs.local\r\nconnection: close\r\n\r\n");
    send(host.address, &request).await.ok();
    send(host.address, &request).await.refused(400, "SignatureNonceUsed");
    let again = Service::open(host.node.compute.clone(), host.identity.clone(), Limits::default(), None);
    let (again, listener) =
        (again.await.unwrap(), tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { again.serve_tcp(listener, None, std::future::pending()).await });
    send(address, &request).await.refused(400, "SignatureNonceUsed");
    // This one has no folder of images.
    let asked = [("DiskDeviceMapping.1.OSSBucket", "bucket"), ("DiskDeviceMapping.1.OSSObject", "disk.raw")];
    let there = Caller { address, ..root.clone() };
    there.call(ECS, "ImportImage", &asked).await.refused(400, "InvalidRegion.NotSupport");
    // Nobody without the secret uses up a nonce.
    let mut parameters = root.parameters(STS, "GetCallerIdentity", &[]);
    parameters.insert("SignatureNonce".to_owned(), "mine".to_owned());
    let right = root.signed("GET", &parameters);
    let wrong = right.replace("&Signature=", "&Signature=AAAA");
    let get = |query| format!("GET /?{query} HTTP/1.1\r\nhost: ecs.local\r\nconnection: close\r\n\r\n");
    send(host.address, &get(wrong)).await.refused(400, "SignatureDoesNotMatch");
    send(host.address, &get(right)).await.ok();
}

#[tokio::test]
async fn bodies_have_limits() {
    let host = Host::start().await;
    let head = "POST / HTTP/1.1\r\nhost: ecs.local\r\nconnection: close\r\ncontent-type: application/x-www-form-urlencoded\r\n";
    let large = send(host.address, &format!("{head}content-length: 300000\r\n\r\nFormat=JSON")).await;
    assert!(large.status == 413 && large.text.contains("RequestBodyTooLarge"), "{}", large.text);
    let slow = send(host.address, &format!("{head}content-length: 30\r\n\r\nFormat=JSON")).await;
    assert!(slow.status == 408 && slow.text.contains("RequestTimeout"), "{}", slow.text);
}
