//! DNS messages of a guest, and of whoever pretends to be a resolver: what is made of a question is a question and an answer to
//! it, and nothing is longer than it may be. Called by the fuzz target `names`, and by the test that replays its corpus. Taken by
//! its file: with its crate would come the core, and C with it.

#[path = "../../../api/names/src/message.rs"]
mod message;

use hickory_proto::op::{Message, ResponseCode};
use message::{MAX_QUESTION_BYTES, Question, Transport};

/// Longest that is said without having been asked for.
const SHORT: usize = 512;

/// Takes the bytes for a question, and then for the answer to it.
pub fn dns(bytes: &[u8]) {
    match Question::read(&bytes[..bytes.len().min(MAX_QUESTION_BYTES)]) {
        Ok(question) => asked(&question, bytes),
        Err(Some(refusal)) => assert!(refusal.len() <= SHORT && Message::from_vec(&refusal).is_ok()),
        Err(None) => {}
    }
}

fn asked(question: &Question, bytes: &[u8]) {
    let own_id = question.metadata.id;
    for answer in
        [question.refuse(ResponseCode::ServFail), question.answer(ResponseCode::NXDomain, vec![], vec![])]
    {
        assert!(answer.len() <= SHORT && question.answered_by(own_id, &answer).is_some());
    }
    let (id, again) = question.for_resolver();
    let again = Question::read(&again).expect("what is passed on is a question");
    assert_eq!((again.metadata.id, &again.query), (id, &question.query));
    // What comes back may be anything.
    question.answered_by(own_id, bytes);
    for transport in [Transport::Udp, Transport::Tcp] {
        let told = question.for_guest(bytes.to_vec(), transport);
        assert!(told.len() <= usize::from(question.most_bytes(transport)));
    }
}
