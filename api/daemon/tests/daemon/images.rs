//! Images that the daemon fetches: whole although it was killed at it, by proxies, and nothing is left of those that fail.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use native_api::{ErrorCode, ImageState, Job, JobState, Operation};
use serde_json::{Value, json};

use crate::node::{in_namespace, mount_tmpfs, run, until};
use crate::server::{Server, head, send};
use crate::story::Story;

/// An image as people have them.
fn qcow2(story: &Story) -> Vec<u8> {
    let raw = story.file("raw", 3 << 20);
    let (raw, image) = (raw.display().to_string(), raw.with_extension("qcow2").display().to_string());
    run("qemu-img", &["convert", "-f", "raw", "-O", "qcow2", &raw, &image]);
    fs::read(image).unwrap()
}

async fn import(story: &mut Story, name: &str, disk: Value) -> Job {
    let body = json!({"name": name, "source": {"disk": disk}});
    story.call(Operation::ImportImage, &[], body).await.unwrap()
}

#[test]
fn a_download_goes_on_where_it_was_when_the_daemon_was_killed() {
    if Command::new("qemu-img").arg("--version").output().is_err() {
        eprintln!("SKIPPED: needs qemu-img");
        return;
    }
    in_namespace(|| async {
        let mut story = Story::new([]);
        story.start().await;
        let content = qcow2(&story);
        let file = story.node.path().join("source/raw.qcow2");
        let hash = run("sha256sum", &[&file.display().to_string()]);
        let hash = hash.split(' ').next().unwrap().to_owned();
        let (times, most) = (AtomicUsize::new(0), content.len() / 2);
        let server = Server::start(move |asked, wire| match times.fetch_add(1, Ordering::SeqCst) {
            0 => send(asked, wire, &content, "\"one\"", most),
            1 => std::thread::sleep(Duration::from_secs(600)),
            _ => send(asked, wire, &content, "\"one\"", usize::MAX),
        });
        let disk = json!({"url": server.url("/debian.qcow2?signature=secret"), "sha256": hash});
        let begun = import(&mut story, "debian", disk).await;
        until("the second request", || (server.asked().len() == 2).then_some(())).await;
        let running: Job = story.call(Operation::GetJob, &[begun.id.as_str()], Value::Null).await.unwrap();
        assert!(running.state == JobState::Running && running.total_bytes.is_some(), "{running:?}");
        let image = begun.image.clone().unwrap();
        assert_eq!(story.image(&image).await.state, ImageState::Creating);
        story.node.kill().await;
        story.start().await;
        let done = story.job(&begun.id).await;
        assert_eq!(done.state, JobState::Succeeded, "{done:?}\n{}", story.node.log());
        assert_eq!(story.image(&image).await.bytes, Some(3 << 20));
        let asked = server.asked();
        assert_eq!(asked.len(), 3);
        assert_eq!(asked[2].header("range"), format!("bytes={most}-"));
        assert!(asked[0].header("user-agent").starts_with("bothyd/"), "{asked:?}");
        assert!(!story.node.log().contains("secret"), "who reads the log could fetch it too");
        story.end().await;
    });
}

#[test]
fn nothing_is_left_of_a_download_that_fails() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        let state = story.node.path().join("state");
        fs::create_dir(&state).unwrap();
        mount_tmpfs(&state, "size=12m,mode=700");
        fs::create_dir(state.join("downloads")).unwrap();
        fs::write(state.join("downloads/job-0000dead.part"), "of a job that is on no record").unwrap();
        story.start().await;
        until("the sweep", || fs::read_dir(state.join("downloads")).unwrap().next().is_none().then_some(()))
            .await;
        let server = Server::start(|asked, wire| match asked.target.as_str() {
            "/small.raw" => send(asked, wire, &[7; 1 << 20], "", usize::MAX),
            "/large.raw" => send(asked, wire, &vec![7; 24 << 20], "", usize::MAX),
            "/endless.raw" => {
                head(wire, "200 OK", &[("Transfer-Encoding", "chunked")]);
                while wire.write_all(b"10000\r\n").and_then(|()| wire.write_all(&[7; 0x1_0000])).is_ok() {
                    let _ = wire.write_all(b"\r\n");
                }
            }
            _ => head(wire, "404 Not Found", &[("Content-Length", "0")]),
        });
        for (path, sha256, code, part) in [
            ("/none.raw", None, ErrorCode::InvalidParameter, "404 Not Found"),
            ("/small.raw", Some("0".repeat(64)), ErrorCode::InvalidParameter, "neither is the expected"),
            ("/large.raw", None, ErrorCode::StorageFull, "the disk is full"),
            ("/endless.raw", None, ErrorCode::StorageFull, "the disk is full"),
        ] {
            let mut disk = json!({"url": server.url(path)});
            if let Some(sha256) = sha256 {
                disk["sha256"] = sha256.into();
            }
            let begun = import(&mut story, "bad", disk).await;
            let failed = story.job(&begun.id).await;
            let error = failed.error.clone().expect("it failed");
            assert!(error.code == code && error.message.contains(part), "{path}: {error}");
            let image = begun.image.unwrap();
            let gone = story.call::<Value>(Operation::GetImage, &[image.as_str()], Value::Null).await;
            assert_eq!(gone.unwrap_err().code, ErrorCode::NotFound);
            until("its end", || story.node.disks().is_empty().then_some(())).await;
        }
        story.end().await;
    });
}

#[test]
fn a_proxy_of_the_environment_is_asked() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        let proxy = Server::start(|asked, wire| send(asked, wire, &[7; 1 << 20], "", usize::MAX));
        let environment = vec![("http_proxy", proxy.url("").into()), ("no_proxy", "127.0.0.2".into())];
        assert!(story.node.start(&environment).await, "{}", story.node.log());
        let begun = import(&mut story, "proxied", json!({"url": "http://images.example.org/disk.raw"})).await;
        let done = story.job(&begun.id).await;
        assert_eq!(done.state, JobState::Succeeded, "{done:?}");
        assert_eq!(proxy.asked()[0].target, "http://images.example.org/disk.raw");
        story.end().await;
    });
}

#[test]
fn a_server_is_trusted_whose_certificate_the_host_trusts() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        let (server, certificate) =
            Server::tls("127.0.0.1", |asked, wire| send(asked, wire, &[7; 1 << 20], "", usize::MAX));
        let trusted = story.node.path().join("source");
        fs::create_dir_all(&trusted).unwrap();
        let trusted = trusted.join("authorities.pem");
        fs::write(&trusted, certificate.pem()).unwrap();
        assert!(story.node.start(&vec![("SSL_CERT_FILE", trusted.into())]).await, "{}", story.node.log());
        let url = format!("https://{}/disk.raw", server.address);
        let begun = import(&mut story, "trusted", json!({"url": url})).await;
        let done = story.job(&begun.id).await;
        assert_eq!(done.state, JobState::Succeeded, "{done:?}");

        // By the host's own list, it is nobody.
        story.stop().await;
        story.start().await;
        let begun = import(&mut story, "unknown", json!({"url": url})).await;
        let failed = story.job(&begun.id).await;
        let error = failed.error.clone().expect("it failed");
        assert!(error.message.contains("TLS is refused"), "{error}");
        story.end().await;
    });
}

#[test]
fn a_source_is_either_a_path_or_a_url() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        story.start().await;
        let url = "https://images.example.org/a.qcow2";
        for disk in [
            json!({}),
            json!({"path": "/srv/a.qcow2", "url": url}),
            json!({"url": "ftp://images.example.org/a.qcow2"}),
            json!({"url": "https://me:word@images.example.org/a.qcow2"}),
            json!({"url": "https://"}),
            json!({"url": "https://images.example.org:port/a.qcow2"}),
        ] {
            let body = json!({"name": "bad", "source": {"disk": disk}});
            let refused = story.call::<Job>(Operation::ImportImage, &[], body.clone()).await.unwrap_err();
            let is_told = matches!(refused.code, ErrorCode::InvalidParameter | ErrorCode::MalformedRequest);
            assert!(is_told && refused.message.contains("url"), "{body}: {refused}");
        }
        story.end().await;
    });
}
