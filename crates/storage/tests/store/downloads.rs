//! Downloads go on where they were, as far as that was made sure of, and never with what is not the beginning of their file.

use super::*;
use storage::store::{StoreError, Version};

const JOB: &str = "job-00000001";

fn version(tag: &str) -> Version {
    Version { url: "https://images.example.org/a.img".to_owned(), tag: Some(tag.to_owned()), bytes: Some(9) }
}

pub fn go_on() {
    let place = Place::new();
    let part = place.path("store/downloads").join(format!("{JOB}.part"));
    let note = part.with_extension("note");
    let mut download = place.store.download(JOB).unwrap();
    assert_eq!((download.offset(), download.version()), (0, None));
    download.begin(version("one")).unwrap();
    download.write(b"abc").unwrap();
    download.keep().unwrap();
    download.write(b"de").unwrap();
    drop(download);
    assert_eq!(fs::read(&part).unwrap(), b"abcde");
    assert_eq!(place.store.downloaded(JOB).unwrap(), None);
    assert_eq!(place.store.present().unwrap().downloads, [JOB]);

    // What came after it was made sure of may be anything after a power failure.
    let mut download = place.store.download(JOB).unwrap();
    assert_eq!((download.offset(), download.version()), (3, Some(&version("one"))));
    assert_eq!(fs::read(&part).unwrap(), b"abc");
    download.write(b"def").unwrap();
    download.keep().unwrap();
    drop(download);

    // A note of more than there is, or that is none, is of nothing.
    let noted = fs::read(&note).unwrap();
    for (text, bytes) in [(&noted[..], b"abc".as_slice()), (b"{", b"abcdef"), (b"", b"abcdef")] {
        fs::write(&note, text).unwrap();
        fs::write(&part, bytes).unwrap();
        let download = place.store.download(JOB).unwrap();
        assert_eq!((download.offset(), download.version()), (0, None), "{text:?}");
    }
    fs::remove_file(&note).unwrap();

    let mut download = place.store.download(JOB).unwrap();
    download.begin(version("one")).unwrap();
    download.write(b"abcdef").unwrap();
    download.keep().unwrap();
    download.begin(version("two")).unwrap();
    assert_eq!(fs::read(&part).unwrap(), b"", "another file has nothing of the one before");
    download.write(b"123456789").unwrap();
    let whole = download.finish().unwrap();
    assert_eq!(fs::read(&whole).unwrap(), b"123456789");
    assert_eq!(place.store.downloaded(JOB).unwrap(), Some(whole));

    let other = place.store.download("job-00000002").unwrap();
    assert_eq!(place.store.present().unwrap().downloads, [JOB, "job-00000002"]);
    drop(other);
    for job in [JOB, "job-00000002", "job-00000003"] {
        place.store.delete_download(job).unwrap();
    }
    assert_eq!(fs::read_dir(part.parent().unwrap()).unwrap().count(), 0);
    for name in ["", "job-", "../images/x", "job-0000000g", "vol-00000001", "job-00000001/.."] {
        assert!(matches!(place.store.download(name), Err(StoreError::Name { .. })), "{name}");
        assert!(matches!(place.store.delete_download(name), Err(StoreError::Name { .. })), "{name}");
    }
    let all = place.store.free_bytes().unwrap();
    assert!(
        matches!(place.store.room_for_download(JOB, all), Err(StoreError::Full(_))),
        "some is left to others"
    );
    place.store.room_for_download(JOB, 1).unwrap();
}
