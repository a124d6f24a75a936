//! Messages that are no questions, or none for us.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};

use super::world::{Host, question};

#[tokio::test]
async fn each_gets_what_it_may_have() {
    let host = Host::plain().await;
    let network = host.network();
    let from = host.launch(host.request()).await.private_address.unwrap();
    let good = || question("eu.compute.internal", RecordType::SOA);
    type Change = fn(&mut Message);
    let cases: [(&str, Change, Option<ResponseCode>); 10] = [
        ("as it should be", |_| {}, Some(ResponseCode::NoError)),
        ("an answer", |message| message.metadata.message_type = MessageType::Response, None),
        ("an update", |message| message.metadata.op_code = OpCode::Update, Some(ResponseCode::NotImp)),
        ("a notice", |message| message.metadata.op_code = OpCode::Notify, Some(ResponseCode::NotImp)),
        ("no question", |message| message.queries.clear(), Some(ResponseCode::FormErr)),
        ("two", |message| message.queries.extend(message.queries.clone()), Some(ResponseCode::FormErr)),
        (
            "a transfer",
            |message| message.queries[0].query_type = RecordType::AXFR,
            Some(ResponseCode::Refused),
        ),
        (
            "another class",
            |message| message.queries[0].query_class = DNSClass::CH,
            Some(ResponseCode::Refused),
        ),
        (
            "EDNS to come",
            |message| {
                message.edns = Some(Edns::new());
                message.edns.as_mut().unwrap().set_version(1);
            },
            Some(ResponseCode::BADVERS),
        ),
        ("EDNS", |message| message.edns = Some(Edns::new()), Some(ResponseCode::NoError)),
    ];
    for (what, change, expected) in cases {
        let mut message = good();
        change(&mut message);
        let answer = host.answer(network, from, &message.to_vec().unwrap());
        let answer = answer.map(|bytes| Message::from_vec(&bytes).unwrap());
        // By number: 16 has two names.
        let code = answer.as_ref().map(|answer| u16::from(answer.metadata.response_code));
        assert_eq!(code, expected.map(u16::from), "{what}");
        if let Some(answer) = answer {
            assert_eq!(answer.metadata.id, message.metadata.id, "{what}");
            assert!(
                answer.metadata.message_type == MessageType::Response && answer.metadata.recursion_desired
            );
            let is_read =
                ![ResponseCode::FormErr, ResponseCode::NotImp].contains(&answer.metadata.response_code);
            assert_eq!(answer.queries, if is_read { message.queries } else { vec![] }, "{what}");
            assert_eq!(answer.edns.is_some(), message.edns.is_some(), "{what}");
        }
    }
}

#[tokio::test]
async fn no_bytes_are_too_bad() {
    let host = Host::plain().await;
    let network = host.network();
    let from = host.launch(host.request()).await.private_address.unwrap();
    let mut good = question("ip-127-98-0-9.eu.compute.internal", RecordType::A);
    good.edns = Some(Edns::new());
    let good = good.to_vec().unwrap();
    let code = |bytes: &[u8]| {
        let answer = host.answer(network, from, bytes)?;
        Some(Message::from_vec(&answer).unwrap().metadata.response_code)
    };
    for length in 0..good.len() {
        let expected = (length >= 12).then_some(ResponseCode::FormErr);
        assert_eq!(code(&good[..length]), expected, "cut to {length}");
    }
    // More is announced than there is: of questions, answers, authorities, additionals.
    for (at, byte) in [(4, 0xff), (6, 0xff), (8, 0xff), (10, 0xff), (5, 2), (11, 9)] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert_eq!(code(&bytes), Some(ResponseCode::FormErr), "{at}");
    }
    // A name that points to itself, and one that never ends.
    for label in [[0xc0, 12], [0xff, 0xff]] {
        let bytes = [&good[..12], &label, &[0, 1, 0, 1]].concat();
        let mut bytes = bytes;
        bytes[11] = 0;
        assert_eq!(code(&bytes), Some(ResponseCode::FormErr), "{label:?}");
    }
    // Labels of whatever bytes are names.
    let mut bytes = good.clone();
    bytes[13..26].fill(0xff);
    assert_eq!(code(&bytes), Some(ResponseCode::NXDomain));
}
