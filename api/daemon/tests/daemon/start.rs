//! Daemons that do not start, and what they say.

use std::fs;
use std::process::Output;

use serde_json::json;

use crate::node::in_namespace;
use crate::story::Story;

/// Why the program ended that was run with these arguments.
fn refused(story: &Story, arguments: &[&str]) -> String {
    let Output { status, stderr, .. } =
        story.node.command(arguments).stderr(std::process::Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{arguments:?}: {said}");
    let last = said.lines().skip_while(|line| !line.starts_with("bothyd: "));
    last.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    in_namespace(|| async {
        let mut story = Story::new([]);
        story.start().await;
        let image = story.import_disk("disk").await;
        let runs = story.launch(json!({"image": image, "instance_type": "tiny"})).await;
        story.runs(&runs[0]).await;

        let (path, config) = (story.node.path().display().to_string(), story.node.config());
        let text = fs::read_to_string(&config).unwrap();
        let said = refused(&story, &[]);
        assert!(said.contains("another") && said.contains("record store"), "{said}");
        // Whoever shares only one of the two is refused for that.
        fs::write(&config, text.replace(&format!("{path}/run"), &format!("{path}/run2"))).unwrap();
        let said = refused(&story, &[]);
        assert!(said.contains("another") && said.contains("record store"), "{said}");
        fs::write(&config, text.replace(&format!("{path}/state"), &format!("{path}/state2"))).unwrap();
        let said = refused(&story, &[]);
        assert!(said.contains("another bothyd uses the run folder"), "{said}");
        assert!(said.contains(&format!("{path}/run")), "{said}");
        fs::write(&config, &text).unwrap();
        // Nobody pulls the host from under a daemon.
        let said = refused(&story, &["clear-host"]);
        assert!(said.contains("another bothyd uses the run folder"), "{said}");

        story.check().await;
        fs::remove_dir_all(story.node.path().join("run2")).unwrap();
        fs::remove_dir_all(story.node.path().join("state2")).unwrap();
        story.end().await;
    });
}

#[test]
fn a_configuration_that_is_none_is_refused_with_its_key_and_line() {
    in_namespace(|| async {
        let story = Story::new([]);
        let good = fs::read_to_string(story.node.config()).unwrap();
        let cases: [(&str, &[&str]); 7] = [
            ("\n\nstate_foldr = '/x'\n", &["line 3", "state_foldr", "state_folder"]),
            ("[api]\nsockets = '/x'\n", &["line 2", "sockets", "socket"]),
            ("node = 'n'\n[network]\nmtu = 'large'\n", &["line 3", "mtu = 'large'"]),
            ("node = 'n'\n[network\n", &["line 2"]),
            ("[network]\nmtu = 100\n", &["network.mtu", "1280"]),
            ("state_folder = 'here'\n", &["state_folder", "absolute"]),
            ("[api]\nlisten = ['0.0.0.0:80']\n", &["api.listen", "tls_certificate"]),
        ];
        for (text, wanted) in cases {
            fs::write(story.node.config(), text).unwrap();
            for arguments in [&[][..], &["check-config"], &["clear-host"]] {
                let said = refused(&story, arguments);
                assert!(wanted.iter().all(|word| said.contains(word)), "{text:?}: {said}");
            }
        }
        fs::write(story.node.config(), good).unwrap();
        assert!(story.node.command(&["check-config"]).status().unwrap().success());
    });
}
