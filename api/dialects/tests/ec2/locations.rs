//! Images that are registered by where they are: below a folder, or on a server that the operator allows.

use compute::outside::HostError;

use super::caller::{Caller, Host, IMAGE_URLS, Pairs};
use super::soap::until;
use super::world::store::INNER_DETAIL;

fn serve(host: &Host, name: &str, content: impl Into<Vec<u8>>) -> String {
    let url = format!("{IMAGE_URLS}{name}");
    host.node.world.real().served.insert(url.clone(), content.into());
    url
}

fn manifest(caller: &Caller, more: &str) -> String {
    let user = caller.account;
    format!("<manifest><image><name>disk.raw</name><user>{user}</user>{more}</image></manifest>")
}

async fn register(caller: &Caller, location: &str) -> String {
    let made = caller.y2007("RegisterImage", &[("ImageLocation", location)]).await.ok();
    made.all("imageId").pop().unwrap()
}

#[tokio::test]
async fn an_image_is_registered_by_a_url_below_one_that_is_allowed() {
    let host = Host::start().await;
    let root = host.root().await;
    let disk = serve(&host, "disk.raw", vec![0; 4096]);
    let described = serve(&host, "disk.manifest.xml", manifest(&root, "<size>4096</size>"));
    for location in [&disk, &described] {
        let id = register(&root, location).await;
        let seen = until(&root, "DescribeImages", &[("ImageId.1", &id)], "imageState", "available").await;
        assert_eq!(seen.all("imageLocation"), [location.as_str()]);
    }
    let modern: Pairs<'_> = &[("Name", "by url"), ("ImageLocation", &described), ("Architecture", "x86_64")];
    let made = root.ec2("RegisterImage", modern).await.ok();
    let id = made.all("imageId").pop().unwrap();
    let seen = until(&root, "DescribeImages", &[("ImageId.1", &id)], "imageState", "available").await;
    assert_eq!(seen.all("imageLocation"), [described.as_str()]);
    let stranger = host.stranger().await;
    stranger.y2007("RegisterImage", &[("ImageLocation", &described)]).await.refused(401, "AuthFailure");
}

#[tokio::test]
async fn what_is_no_image_at_a_url_is_no_manifest_and_what_is_elsewhere_is_not_asked_for() {
    let host = Host::start().await;
    let root = host.root().await;
    serve(&host, "disk.raw", vec![0; 4096]);
    let long = format!("{}{}", manifest(&root, ""), " ".repeat(64 << 10));
    for (name, content) in [
        ("size.manifest.xml", manifest(&root, "<size>4097</size>")),
        ("parts.manifest.xml", manifest(&root, "<parts count=\"1\"/>")),
        ("long.manifest.xml", long),
        ("other.manifest.xml", manifest(&root, "").replace("disk.raw", "other.raw")),
        ("up.manifest.xml", manifest(&root, "").replace("disk.raw", "%2e%2e")),
        ("empty.manifest.xml", String::new()),
    ] {
        let url = serve(&host, name, content);
        root.y2007("RegisterImage", &[("ImageLocation", &url)]).await.refused(400, "InvalidManifest");
    }
    let mut bare = vec![0; 4096];
    bare[1080..1082].copy_from_slice(&[0x53, 0xef]);
    let url = serve(&host, "bare.img", bare);
    let refused = root.y2007("RegisterImage", &[("ImageLocation", &url)]).await;
    refused.refused(400, "InvalidManifest");
    assert!(refused.text.contains("no kernel"), "{}", refused.text);
    let missing = root.y2007("RegisterImage", &[("ImageLocation", &format!("{IMAGE_URLS}none.img"))]).await;
    missing.refused(400, "InvalidManifest");
    assert!(missing.text.contains("404"), "{}", missing.text);
    // Why a server cannot be reached is nobody's business but the operator's.
    let disk = format!("{IMAGE_URLS}disk.raw");
    host.node.world.real().trouble = Some(HostError::Failed(INNER_DETAIL.to_owned()));
    let failed = root.ec2("RegisterImage", &[("Name", "x"), ("ImageLocation", &disk)]).await;
    failed.refused(500, "InternalError");
    assert!(!failed.text.contains(INNER_DETAIL), "{}", failed.text);
    host.node.world.real().trouble = None;
    // Whatever else there is to be had.
    for url in [
        "http://images.example.org/pub/disk.raw",
        "https://images.example.org/private/disk.raw",
        "https://images.example.org/pub/../private/disk.raw",
        "https://images.example.org/pub/..%2fprivate/disk.raw",
        "https://169.254.169.254/latest/meta-data/",
        "https://images.example.org/pub/disk.raw?to=http://10.0.0.1/",
        "file:///etc/passwd",
    ] {
        host.node.world.real().served.insert(url.to_owned(), vec![0; 4096]);
        let refused = root.y2007("RegisterImage", &[("ImageLocation", url)]).await;
        refused.refused(400, "InvalidParameterValue");
    }
}
