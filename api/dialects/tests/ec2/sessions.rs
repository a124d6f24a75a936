//! What is left to a session of a role that is narrowed by policies of the role's account, or of the cloud's own.

use compute::identity::{AttachedTo, PolicyRef};

use super::caller::{Caller, Host, Pairs, encoded};
use super::signing::{V4, make_deployer};

/// A session, and what its requests carry along.
struct Session {
    caller: Caller,
    token: String,
}

impl Session {
    async fn may(&self, action: &str) -> bool {
        let signed = "content-type;host;x-amz-date;x-amz-security-token";
        let body = format!("Action={action}&Version=2016-11-15");
        let answer = V4 { token: Some(self.token.clone()), signed, ..V4::of(&body) }.send(&self.caller).await;
        if answer.status == 200 {
            return true;
        }
        answer.refused(403, "UnauthorizedOperation");
        false
    }
}

async fn assume(root: &Caller, more: Pairs<'_>) -> super::caller::Answered {
    let mut body = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleArn={}&RoleSessionName=build",
        encoded(&format!("arn:aws:iam::{}:role/deployer", root.account))
    );
    for (name, value) in more {
        body.push_str(&format!("&{name}={}", encoded(value)));
    }
    V4::of(&body).send(root).await
}

async fn session(root: &Caller, more: Pairs<'_>) -> Session {
    let made = assume(root, more).await.ok();
    let one = |name: &str| made.all(name).pop().unwrap();
    let caller = Caller { id: one("AccessKeyId"), secret: one("SecretAccessKey"), ..root.clone() };
    Session { caller, token: one("SessionToken") }
}

fn allowing(action: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"{action}","Resource":"*"}}]}}"#
    )
}

const READ_ONLY: (&str, &str) =
    ("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess");

#[tokio::test]
async fn a_session_is_narrowed_to_what_its_policies_allow_together() {
    let host = Host::start().await;
    let root = host.root().await;
    let (identity, account) = (&host.identity, root.account);
    let now = host.node.compute.clock().now();
    make_deployer(&host, account, now).await;
    let all = PolicyRef::BuiltIn("AmazonEC2FullAccess".to_owned());
    identity.attach_policy(account, &all, AttachedTo::Role("deployer")).await.unwrap();
    identity.create_policy(account, "addresses", "", &allowing("ec2:*Address*"), now).await.unwrap();
    let mine = format!("arn:aws:iam::{account}:policy/team/addresses");
    let mine = ("PolicyArns.member.2.arn", mine.as_str());
    let vpcs = allowing("ec2:CreateVpc");
    let asked = ["DescribeVpcs", "DescribeAddresses", "AllocateAddress"];
    let cases: &[(Pairs<'_>, [bool; 3])] = &[
        (&[], [true, true, true]),
        (&[READ_ONLY], [true, true, false]),
        (&[mine], [false, true, true]),
        (&[READ_ONLY, mine], [true, true, true]),
        (&[READ_ONLY, ("Policy", &vpcs)], [true, true, false]),
        (&[("Policy", &vpcs)], [false, false, false]),
        // What the role may not, no policy of its session gives it.
        (&[("PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/AdministratorAccess")], [true, true, true]),
    ];
    for (more, expected) in cases {
        let session = session(&root, more).await;
        let mut may = [false; 3];
        for (action, may) in asked.iter().zip(&mut may) {
            *may = session.may(action).await;
        }
        assert_eq!(may, *expected, "{more:?}");
    }
    let widened = session(&root, cases[6].0).await;
    identity.detach_policy(account, &all, AttachedTo::Role("deployer")).await.unwrap();
    assert!(!widened.may("DescribeVpcs").await);
    identity.attach_policy(account, &all, AttachedTo::Role("deployer")).await.unwrap();

    // A policy is what it is when the session asks, and nothing when it is gone.
    let session = session(&root, &[mine]).await;
    assert!(session.may("AllocateAddress").await && !session.may("DescribeVpcs").await);
    identity.update_policy(account, "addresses", &allowing("ec2:DescribeVpcs"), now).await.unwrap();
    assert!(!session.may("AllocateAddress").await && session.may("DescribeVpcs").await);
    identity.delete_policy(account, "addresses").await.unwrap();
    assert!(!session.may("AllocateAddress").await && !session.may("DescribeVpcs").await);
}

#[tokio::test]
async fn policies_that_a_session_cannot_have_are_refused() {
    let host = Host::start().await;
    let (root, stranger) = (host.root().await, host.stranger().await);
    let now = host.node.compute.clock().now();
    make_deployer(&host, root.account, now).await;
    for account in [root.account, stranger.account] {
        host.identity.create_policy(account, "mine", "", &allowing("ec2:*"), now).await.unwrap();
    }
    let theirs = format!("arn:aws:iam::{}:policy/mine", stranger.account);
    for arn in [
        "",
        "mine",
        "arn:aws:iam::aws:policy/",
        "arn:aws:iam::aws:policy/mine",
        "arn:aws:iam::aws:role/AmazonEC2ReadOnlyAccess",
        &theirs,
        &format!("arn:aws:iam::{}:policy/nosuch", root.account),
    ] {
        assume(&root, &[("PolicyArns.member.1.arn", arn)]).await.refused(400, "ValidationError");
    }
    let long = " ".repeat(2049);
    assume(&root, &[("Policy", &long)]).await.refused(400, "ValidationError");
    let padded = format!("{}{}", allowing("ec2:*"), " ".repeat(1950));
    assume(&root, &[("Policy", &padded), READ_ONLY]).await.refused(400, "PackedPolicyTooLarge");
    let made = assume(&root, &[("Policy", &allowing("ec2:*")), READ_ONLY]).await.ok();
    assert_eq!(made.all("PackedPolicySize"), ["7"]);
    for count in 0..11 {
        let name = format!("p{count}");
        host.identity.create_policy(root.account, &name, "", &allowing("ec2:*"), now).await.unwrap();
    }
    let all: Vec<(String, String)> = (0..11)
        .map(|count| {
            let arn = format!("arn:aws:iam::{}:policy/p{count}", root.account);
            (format!("PolicyArns.member.{}.arn", count + 1), arn)
        })
        .collect();
    let all: Vec<(&str, &str)> = all.iter().map(|(name, arn)| (name.as_str(), arn.as_str())).collect();
    assume(&root, &all).await.refused(400, "ValidationError");
    assume(&root, &all[..10]).await.ok();
}
