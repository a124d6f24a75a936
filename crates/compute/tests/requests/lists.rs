//! Lists: as long as they are wanted, whatever the store gives at once.

use compute::resource::Tags;

use super::host::Host;

/// More than the store gives at once.
const MANY: usize = 2050;
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

#[tokio::test]
async fn a_list_has_all_if_all_are_wanted() {
    let host = Host::start().await;
    let account = &host.accounts[0];
    for number in 0..MANY {
        let name = format!("key {number:04}");
        host.compute.import_key_pair(account, &name, KEY, Tags::default()).await.unwrap();
    }
    let listed = async |after: Option<&str>, limit, odd: bool| {
        let wanted = |name: &str| !odd || name.ends_with(['1', '3', '5', '7', '9']);
        let list = host.compute.key_pairs(account, after, limit, |pair| wanted(&pair.name)).await.unwrap();
        (list.items.len(), list.next)
    };
    assert_eq!(listed(None, usize::MAX, false).await, (MANY, None));
    assert_eq!(listed(None, usize::MAX, true).await, (MANY / 2, None));
    assert_eq!(listed(None, MANY, false).await, (MANY, None));
    let (count, next) = listed(None, 1500, false).await;
    assert_eq!(count, 1500);
    assert_eq!(listed(next.as_deref(), 1500, false).await, (MANY - 1500, None));
}
