//! What version 2007-03-01 refuses, with each of its codes, by Query and by SOAP.

use compute::capacity::Amounts;

use super::caller::{Caller, Host};
use super::soap::image;
use super::soap_client::Signer;

/// The account, by both protocols.
struct Faces {
    host: Host,
    root: Caller,
    signer: Signer,
}

impl Faces {
    async fn of(host: Host) -> Self {
        let root = host.root().await;
        let signer = Signer::of(&host, root.account).await;
        Self { host, root, signer }
    }

    /// Sees to it that both refuse the same with this code.
    async fn refuse(&self, code: &str, action: &str, pairs: &[(&str, &str)], inside: &str) {
        let answer = self.root.y2007(action, pairs).await;
        assert_eq!(answer.code().as_deref(), Some(code), "{action} {pairs:?}: {}", answer.text);
        assert!(answer.status >= 400, "{}", answer.text);
        self.fault(code, action, inside).await;
    }

    async fn fault(&self, code: &str, action: &str, inside: &str) {
        let answer = self.signer.asks(&self.host, action, inside).await;
        assert_eq!(
            (answer.status, answer.code().as_deref()),
            (500, Some(code)),
            "{action} {inside}: {}",
            answer.text
        );
    }

    /// The same for a launch of an image.
    async fn refuse_launch(
        &self,
        code: &str,
        image: &str,
        counts: (&str, &str),
        more: &[(&str, &str)],
        soap: (&str, &str),
    ) {
        let mut pairs = vec![("ImageId", image), ("MinCount", counts.0), ("MaxCount", counts.1)];
        pairs.extend(more);
        let (item, behind) = soap;
        let inside = format!(
            "<instancesSet><item><imageId>{image}</imageId><minCount>{}</minCount><maxCount>{}</maxCount>{item}</item>\
             </instancesSet>{behind}",
            counts.0, counts.1
        );
        self.refuse(code, "RunInstances", &pairs, &inside).await;
    }
}

#[tokio::test]
async fn images_and_launches_are_refused_by_code() {
    let faces = Faces::of(Host::start().await).await;
    let other = faces.host.stranger().await;
    let (own, hidden) = (image(&faces.host, &faces.root).await, image(&faces.host, &other).await);
    faces
        .host
        .identity
        .set_quotas(faces.root.account, Amounts { instances: 2, ..Amounts::UNLIMITED })
        .await
        .unwrap();
    let one = ("1", "1");
    faces.refuse_launch("AuthFailure", &hidden, one, &[], ("", "")).await;
    faces.refuse_launch("InvalidAMIID.Malformed", "ami-x", one, &[], ("", "")).await;
    faces.refuse_launch("InvalidAMIID.NotFound", "ami-00000000", one, &[], ("", "")).await;
    faces.refuse_launch("InvalidParameterCombination", &own, ("0", "0"), &[], ("", "")).await;
    faces.refuse_launch("InvalidParameterCombination", &own, ("2", "1"), &[], ("", "")).await;
    faces.refuse_launch("InvalidParameterValue", &own, ("x", "1"), &[], ("", "")).await;
    faces.refuse_launch("InstanceLimitExceeded", &own, ("3", "3"), &[], ("", "")).await;
    faces.refuse_launch("MissingParameter", &own, ("", "1"), &[], ("", "")).await;
    let key = ("<keyName>none</keyName>", "");
    faces.refuse_launch("InvalidKeyPair.NotFound", &own, one, &[("KeyName", "none")], key).await;
    let group = ("", "<groupSet><item><groupId>none</groupId></item></groupSet>");
    faces.refuse_launch("InvalidGroup.NotFound", &own, one, &[("SecurityGroup.1", "none")], group).await;
    let size = ("<instanceType>m1.small</instanceType>", "");
    faces.refuse_launch("UnknownParameter", &own, one, &[("InstanceType", "m1.small")], size).await;
    let data = ("", "<userData encoding=\"base64\" version=\"1.0\"><data>a</data></userData>");
    faces.refuse_launch("InvalidParameterValue", &own, one, &[("UserData", "a")], data).await;
    let odd = "<userData encoding=\"base64\" version=\"2.0\"><data>aa==</data></userData>";
    let launch = format!(
        "<instancesSet><item><imageId>{own}</imageId><minCount>1</minCount><maxCount>1</maxCount></item></instancesSet>{odd}"
    );
    faces.fault("InvalidParameterValue", "RunInstances", &launch).await;
    for (location, code) in [
        ("bucket/none.manifest.xml", "InvalidManifest"),
        ("../etc/passwd", "InvalidParameterValue"),
        ("http://a/b", "InvalidParameterValue"),
    ] {
        let inside = format!("<imageLocation>{location}</imageLocation>");
        faces.refuse(code, "RegisterImage", &[("ImageLocation", location)], &inside).await;
    }
    let manifest = "<manifest><image><name>good.raw</name><user>210987654321</user></image></manifest>";
    std::fs::write(faces.host.images.path().join("bucket/b.manifest.xml"), manifest).unwrap();
    let theirs = "bucket/b.manifest.xml";
    let inside = format!("<imageLocation>{theirs}</imageLocation>");
    faces.refuse("AuthFailure", "RegisterImage", &[("ImageLocation", theirs)], &inside).await;
    let named = |id: &str| format!("<imageId>{id}</imageId>");
    faces.refuse("AuthFailure", "DeregisterImage", &[("ImageId", &hidden)], &named(&hidden)).await;
    let list = "<imagesSet><item><imageId>ami-00000000</imageId></item></imagesSet>";
    faces.refuse("InvalidAMIID.NotFound", "DescribeImages", &[("ImageId.1", "ami-00000000")], list).await;
    let owners = "<imagesSet></imagesSet><ownersSet><item><owner>me</owner></item></ownersSet>";
    faces.refuse("InvalidUserID.Malformed", "DescribeImages", &[("Owner.1", "me")], owners).await;
    let add = |item: &str| {
        format!("{}<launchPermission><add><item>{item}</item></add></launchPermission>", named(&own))
    };
    let base = [("ImageId", own.as_str()), ("Attribute", "launchPermission"), ("OperationType", "add")];
    let with = |pair: (&'static str, &'static str)| [base[0], base[1], base[2], pair];
    let change = "ModifyImageAttribute";
    faces
        .refuse(
            "InvalidAMIAttributeItemValue",
            change,
            &with(("UserId.1", "me")),
            &add("<userId>me</userId>"),
        )
        .await;
    faces
        .refuse(
            "InvalidAMIAttributeItemValue",
            change,
            &with(("Group.1", "some")),
            &add("<group>some</group>"),
        )
        .await;
    let wrong = [("ImageId", own.as_str()), ("Attribute", "kernel")];
    faces.root.y2007("DescribeImageAttribute", &wrong).await.refused(400, "InvalidParameterValue");
    let codes = format!("{}<productCodes></productCodes>", named(&own));
    let asked = [("ImageId", own.as_str()), ("Attribute", "productCodes")];
    faces.refuse("InvalidParameterValue", "ResetImageAttribute", &asked, &codes).await;
    faces.root.y2007("DeregisterImage", &[("ImageId", &own)]).await.ok();
    let listed = faces.root.y2007("DescribeImages", &[("ImageId.1", &own)]).await.ok();
    assert_eq!(listed.all("imageState"), ["deregistered"], "{}", listed.text);
    faces.refuse_launch("InvalidAMIID.Unavailable", &own, one, &[], ("", "")).await;
}

#[tokio::test]
async fn instances_groups_and_keys_are_refused_by_code() {
    let faces = Faces::of(Host::start().await).await;
    let root = &faces.root;
    let set = |id: &str| format!("<instancesSet><item><instanceId>{id}</instanceId></item></instancesSet>");
    for action in ["DescribeInstances", "TerminateInstances", "RebootInstances"] {
        for (id, code) in [("x", "InvalidInstanceID.Malformed"), ("i-00000000", "InvalidInstanceID.NotFound")]
        {
            faces.refuse(code, action, &[("InstanceId.1", id)], &set(id)).await;
        }
    }
    faces.refuse("MissingParameter", "TerminateInstances", &[], "<instancesSet></instancesSet>").await;
    let console = "<instanceId>i-00000000</instanceId>";
    faces
        .refuse("InvalidInstanceID.NotFound", "GetConsoleOutput", &[("InstanceId", "i-00000000")], console)
        .await;
    root.y2007("CreateKeyPair", &[("KeyName", "k")]).await.ok();
    faces
        .refuse("InvalidKeyPair.Duplicate", "CreateKeyPair", &[("KeyName", "k")], "<keyName>k</keyName>")
        .await;
    let keys = "<keySet><item><keyName>none</keyName></item></keySet>";
    faces.refuse("InvalidKeyPair.NotFound", "DescribeKeyPairs", &[("KeyName.1", "none")], keys).await;
    root.y2007("DeleteKeyPair", &[("KeyName", "none")]).await.ok();
    let web = [("GroupName", "web"), ("GroupDescription", "d")];
    root.y2007("CreateSecurityGroup", &web).await.ok();
    let made = "<groupName>web</groupName><groupDescription>d</groupDescription>";
    faces.refuse("InvalidGroup.Duplicate", "CreateSecurityGroup", &web, made).await;
    let reserved = [("GroupName", "default"), ("GroupDescription", "d")];
    faces
        .refuse("InvalidGroup.Reserved", "CreateSecurityGroup", &reserved, &made.replace("web", "default"))
        .await;
    let name = |name: &str| format!("<groupName>{name}</groupName>");
    let delete = "DeleteSecurityGroup";
    faces.refuse("InvalidGroup.Reserved", delete, &[("GroupName", "default")], &name("default")).await;
    faces.refuse("InvalidGroup.NotFound", delete, &[("GroupName", "none")], &name("none")).await;
    let ami = image(&faces.host, root).await;
    let launch =
        [("ImageId", ami.as_str()), ("MinCount", "1"), ("MaxCount", "1"), ("SecurityGroup.1", "web")];
    root.y2007("RunInstances", &launch).await.ok();
    faces.refuse("InvalidGroup.InUse", delete, &[("GroupName", "web")], &name("web")).await;
    let permission = |protocol: &str, from: &str, to: &str, cidr: &str| {
        format!(
            "<groupName>web</groupName><ipPermissions><item><ipProtocol>{protocol}</ipProtocol><fromPort>{from}\
             </fromPort><toPort>{to}</toPort><groups></groups><ipRanges><item><cidrIp>{cidr}</cidrIp></item>\
             </ipRanges></item></ipPermissions>"
        )
    };
    let authorize = "AuthorizeSecurityGroupIngress";
    for (protocol, from, to, cidr) in [
        ("gre", "1", "1", "0.0.0.0/0"),
        ("tcp", "2", "1", "0.0.0.0/0"),
        ("tcp", "1", "65536", "0.0.0.0/0"),
        ("tcp", "-1", "-1", "0.0.0.0/0"),
        ("icmp", "-1", "3", "0.0.0.0/0"),
        ("icmp", "256", "0", "0.0.0.0/0"),
        ("udp", "x", "1", "0.0.0.0/0"),
        ("udp", "1", "1", "10.0.0.0"),
    ] {
        let pairs = [
            ("GroupName", "web"),
            ("IpProtocol", protocol),
            ("FromPort", from),
            ("ToPort", to),
            ("CidrIp", cidr),
        ];
        faces
            .refuse("InvalidPermission.Malformed", authorize, &pairs, &permission(protocol, from, to, cidr))
            .await;
    }
    let pairs = [
        ("GroupName", "web"),
        ("IpProtocol", "tcp"),
        ("FromPort", "22"),
        ("ToPort", "22"),
        ("CidrIp", "10.0.0.0/8"),
    ];
    let inside = permission("tcp", "22", "22", "10.0.0.0/8");
    faces.refuse("InvalidPermission.NotFound", "RevokeSecurityGroupIngress", &pairs, &inside).await;
    root.y2007(authorize, &pairs).await.ok();
    faces.refuse("InvalidPermission.Duplicate", authorize, &pairs, &inside).await;
    let mixed = [pairs[0], pairs[1], ("SourceSecurityGroupName", "web")];
    root.y2007(authorize, &mixed).await.refused(400, "InvalidParameterCombination");
    root.y2007(authorize, &[pairs[0]]).await.refused(400, "MissingParameter");
    faces.fault("MissingParameter", authorize, "<groupName>web</groupName>").await;
    faces.refuse("InvalidAction", "StartInstances", &[("InstanceId.1", "i-00000000")], "").await;
}

#[tokio::test]
async fn what_the_host_has_not_is_the_servers_fault() {
    let none = Amounts { instances: 0, vcpus: 0, memory_mib: 0, disk_gib: 0 };
    let faces = Faces::of(Host::with(none).await).await;
    let ami = image(&faces.host, &faces.root).await;
    faces.refuse_launch("InsufficientInstanceCapacity", &ami, ("1", "1"), &[], ("", "")).await;
}
