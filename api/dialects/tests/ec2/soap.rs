//! What is answered by SOAP: the WSDL, several images launched at once, attributes of images, products.

use compute::capacity::Amounts;

use super::caller::{Answered, Caller, Host, send};
use super::soap_client::Signer;

/// Registers an image that is in the host's folder, and waits until it can be launched.
pub async fn image(host: &Host, caller: &Caller) -> String {
    let bucket = host.images.path().join("bucket");
    std::fs::create_dir_all(&bucket).unwrap();
    std::fs::write(bucket.join("good.raw"), vec![0; 4096]).unwrap();
    let made = caller.y2007("RegisterImage", &[("ImageLocation", "bucket/good.raw")]).await.ok();
    let id = made.all("imageId").pop().unwrap();
    until(caller, "DescribeImages", &[("ImageId.1", &id)], "imageState", "available").await;
    id
}

/// Waits until all elements of this name say this.
pub async fn until(
    caller: &Caller,
    action: &str,
    more: &[(&str, &str)],
    name: &str,
    wanted: &str,
) -> Answered {
    let seen = async {
        loop {
            let answer = caller.y2007(action, more).await.ok();
            let found = answer.all(name);
            if !found.is_empty() && found.iter().all(|text| text == wanted) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let seen = tokio::time::timeout(std::time::Duration::from_secs(20), seen).await;
    seen.unwrap_or_else(|_| panic!("{action}: {name} does not become {wanted}"))
}

impl Caller {
    /// What the version of 2007 answers by Query.
    pub async fn y2007(&self, action: &str, more: &[(&str, &str)]) -> Answered {
        self.asks("2007-03-01", action, more).await
    }
}

/// Instances of several images, each with its fewest and most.
fn launch(kinds: &[(&str, u32, u32)]) -> String {
    let item = |(image, min, max): &(&str, u32, u32)| {
        format!("<item><imageId>{image}</imageId><minCount>{min}</minCount><maxCount>{max}</maxCount></item>")
    };
    let items: String = kinds.iter().map(item).collect();
    format!("<instancesSet>{items}</instancesSet><groupSet></groupSet>")
}

#[tokio::test]
async fn the_fewest_of_each_image_or_nothing_and_the_rest_in_turn() {
    let slots = |instances| Amounts { instances, vcpus: 1000, memory_mib: 1 << 20, disk_gib: 1 << 20 };
    let host = Host::with(slots(30)).await;
    let root = host.root().await;
    let signer = Signer::of(&host, root.account).await;
    let (a, b) = (image(&host, &root).await, image(&host, &root).await);
    let answer = signer.asks(&host, "RunInstances", &launch(&[(&a, 11, 20), (&b, 20, 40)])).await;
    assert_eq!((answer.status, answer.code().as_deref()), (500, Some("InsufficientInstanceCapacity")));
    assert_eq!(answer.all("faultcode"), ["SOAP-ENV:Server.InsufficientInstanceCapacity"]);
    assert!(root.y2007("DescribeInstances", &[]).await.ok().all("instanceId").is_empty());
    let answer = signer.asks(&host, "RunInstances", &launch(&[(&a, 5, 10), (&b, 20, 40)])).await.ok();
    let images = answer.all("imageId");
    let indexes = answer.all("amiLaunchIndex");
    let of = |image: &str| -> Vec<u32> {
        let all = images.iter().zip(&indexes).filter(|(known, _)| *known == image);
        all.map(|(_, index)| index.parse().unwrap()).collect()
    };
    // Five are left when each has its fewest; they go to one after the other, the first first.
    assert_eq!((of(&a).len(), of(&b).len()), (8, 22), "{images:?}");
    for (image, count) in [(&a, 8), (&b, 22)] {
        assert_eq!(of(image), (0..count).collect::<Vec<u32>>(), "each image counts its own");
    }
    assert_eq!(answer.all("reservationId").len(), 1);
    assert_eq!(answer.all("groupId"), ["default"]);
    let seen = root.y2007("DescribeInstances", &[]).await.ok();
    assert_eq!((seen.all("reservationId"), seen.all("instanceId").len()), (answer.all("reservationId"), 30));
}

#[tokio::test]
async fn an_image_is_given_and_its_product_confirmed() {
    let host = Host::start().await;
    let (root, other) = (host.root().await, host.stranger().await);
    let (vendor, customer) = (Signer::of(&host, root.account).await, Signer::of(&host, other.account).await);
    let ami = image(&host, &root).await;
    let asks =
        async |signer: &Signer, action: &str, inside: String| signer.asks(&host, action, &inside).await;
    let change = |what: &str| format!("<imageId>{ami}</imageId>{what}");
    let code = "<productCodes><item><productCode>774F4FF8</productCode></item></productCodes>";
    asks(&vendor, "ModifyImageAttribute", change(code)).await.ok();
    let another = asks(&vendor, "ModifyImageAttribute", change(&code.replace("774F4FF8", "6883959E"))).await;
    assert_eq!(another.code().as_deref(), Some("InvalidParameterValue"), "it can be said once");
    let account = other.account.to_string();
    let add =
        format!("<launchPermission><add><item><userId>{account}</userId></item></add></launchPermission>");
    asks(&vendor, "ModifyImageAttribute", change(&add)).await.ok();
    let told = asks(&vendor, "DescribeImageAttribute", change("<launchPermission></launchPermission>")).await;
    assert_eq!(told.ok().all("userId"), [account]);
    let told = asks(&vendor, "DescribeImageAttribute", change("<productCodes></productCodes>")).await;
    assert_eq!(told.ok().all("productCode"), ["774F4FF8"]);
    let hidden = asks(&customer, "DescribeImageAttribute", change("<productCodes></productCodes>")).await;
    assert_eq!(hidden.code().as_deref(), Some("AuthFailure"));
    let launched = asks(&customer, "RunInstances", launch(&[(&ami, 1, 1)])).await.ok();
    assert_eq!(launched.all("productCode"), ["774F4FF8"]);
    let instance = launched.all("instanceId").pop().unwrap();
    let confirm =
        |code: &str| format!("<productCode>{code}</productCode><instanceId>{instance}</instanceId>");
    let confirmed = asks(&vendor, "ConfirmProductInstance", confirm("774F4FF8")).await.ok();
    assert_eq!(
        (confirmed.all("return"), confirmed.all("ownerId")),
        (vec!["true".to_owned()], vec![other.account.to_string()])
    );
    let denied = asks(&vendor, "ConfirmProductInstance", confirm("6883959E")).await.ok();
    assert_eq!((denied.all("return"), denied.all("ownerId").len()), (vec!["false".to_owned()], 0));
    let hidden = asks(&customer, "ConfirmProductInstance", confirm("774F4FF8")).await;
    assert_eq!(hidden.code().as_deref(), Some("AuthFailure"));
    asks(&vendor, "ResetImageAttribute", change("<launchPermission></launchPermission>")).await.ok();
    let refused = asks(&customer, "RunInstances", launch(&[(&ami, 1, 1)])).await;
    assert_eq!(refused.code().as_deref(), Some("AuthFailure"), "it is not his any more");
}

#[tokio::test]
async fn the_wsdl_is_there_for_its_version_and_as_the_newest() {
    let host = Host::start().await;
    let get = async |path: &str| {
        send(host.address, &format!("GET {path} HTTP/1.1\r\nhost: ec2.local:1\r\nconnection: close\r\n\r\n"))
            .await
    };
    let wsdl = get("/doc/2007-03-01/AmazonEC2.wsdl").await.ok();
    assert!(wsdl.text.contains("location=\"http://ec2.local:1/\""), "{}", wsdl.text);
    assert_eq!(wsdl.text, get("/doc/AmazonEC2.wsdl").await.ok().text);
    assert_eq!(get("/doc/2016-11-15/AmazonEC2.wsdl").await.status, 400);
}
