//! DNS messages: questions as they come from guests, checked before anything is made of them, and what is sent back. Fuzzed by
//! itself (`tests/fuzz`), so it uses nothing of this crate.

use hickory_proto::op::{Edns, Header, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};

/// Longest question that is looked at; what guests ask has some hundred bytes.
pub const MAX_QUESTION_BYTES: usize = 4096;
/// Longest message by UDP, either way: what passes everywhere in one piece (dnsflagday.net/2020).
pub const MAX_UDP_BYTES: u16 = 1232;
/// Longest message by UDP of who says nothing of it (RFC 1035, 2.3.4).
const MIN_UDP_BYTES: u16 = 512;
/// Most records behind a question: one says what EDNS says, and few resolvers send another.
const MAX_ADDITIONALS: u16 = 4;

/// How a message comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// In a connection.
    Tcp,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What the header says besides its counts.
    pub metadata: Metadata,
    /// What is asked.
    pub query: Query,
    /// What is said by EDNS, if anything.
    pub edns: Option<Edns>,
}

/// What is no question for us: with what is to be answered, if anything.
pub type NoQuestion = Option<Vec<u8>>;

impl Question {
    /// Reads a question.
    pub fn read(bytes: &[u8]) -> Result<Self, NoQuestion> {
        let header = Header::read(&mut BinDecoder::new(bytes)).map_err(|_| None)?;
        let Header { metadata, counts } = header;
        if metadata.message_type == MessageType::Response {
            // Two that answer each other's answers would never end.
            return Err(None);
        }
        if metadata.op_code != OpCode::Query {
            return Err(refusal(&metadata, ResponseCode::NotImp));
        }
        // Before the rest is read: room is made for as many as are announced.
        let is_one = (counts.queries, counts.answers, counts.authorities) == (1, 0, 0);
        if !is_one || counts.additionals > MAX_ADDITIONALS {
            return Err(refusal(&metadata, ResponseCode::FormErr));
        }
        let message = Message::from_vec(bytes).map_err(|_| refusal(&metadata, ResponseCode::FormErr))?;
        let Some(query) = message.queries.into_iter().next() else {
            return Err(refusal(&metadata, ResponseCode::FormErr));
        };
        let question = Self { metadata, query, edns: message.edns };
        if question.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
            return Err(Some(question.refuse(ResponseCode::BADVERS)));
        }
        let is_of_internet = question.query.query_class() == DNSClass::IN;
        let is_transfer = matches!(question.query.query_type(), RecordType::AXFR | RecordType::IXFR);
        match is_of_internet && !is_transfer {
            true => Ok(question),
            false => Err(Some(question.refuse(ResponseCode::Refused))),
        }
    }

    /// Most bytes of an answer.
    pub fn most_bytes(&self, transport: Transport) -> u16 {
        match transport {
            Transport::Udp => self
                .edns
                .as_ref()
                .map_or(MIN_UDP_BYTES, Edns::max_payload)
                .clamp(MIN_UDP_BYTES, MAX_UDP_BYTES),
            Transport::Tcp => u16::MAX,
        }
    }

    /// An answer without records.
    pub fn refuse(&self, code: ResponseCode) -> Vec<u8> {
        encode(&self.response(code))
    }

    /// An answer out of a zone of ours. All of them fit the smallest datagram.
    pub fn answer(&self, code: ResponseCode, answers: Vec<Record>, authorities: Vec<Record>) -> Vec<u8> {
        let mut message = self.response(code);
        message.metadata.authoritative = true;
        (message.answers, message.authorities) = (answers, authorities);
        encode(&message)
    }

    fn response(&self, code: ResponseCode) -> Message {
        let mut message = Message::response(self.metadata.id, OpCode::Query);
        message.metadata = Metadata::response_from_request(&self.metadata);
        message.metadata.recursion_available = true;
        message.metadata.response_code = code;
        message.add_query(self.query.clone());
        message.edns = self.edns.as_ref().map(our_edns);
        message
    }

    /// The same question of our own, with an id that nobody can guess.
    pub fn for_resolver(&self) -> (u16, Vec<u8>) {
        let mut message = Message::query();
        let Metadata { recursion_desired, checking_disabled, authentic_data, .. } = self.metadata;
        message.metadata.recursion_desired = recursion_desired;
        message.metadata.checking_disabled = checking_disabled;
        message.metadata.authentic_data = authentic_data;
        message.add_query(self.query.clone());
        message.edns = self.edns.as_ref().map(our_edns);
        if let Some(edns) = &mut message.edns {
            edns.set_max_payload(self.most_bytes(Transport::Udp));
        }
        (message.metadata.id, encode(&message))
    }

    /// Whether this answers what was asked with that id; its header then.
    pub fn answered_by(&self, id: u16, bytes: &[u8]) -> Option<Metadata> {
        let mut decoder = BinDecoder::new(bytes);
        let Header { metadata, counts } = Header::read(&mut decoder).ok()?;
        let is_answer = metadata.message_type == MessageType::Response && metadata.id == id;
        (is_answer && counts.queries == 1 && Query::read(&mut decoder).ok()? == self.query)
            .then_some(metadata)
    }

    /// A resolver's answer, for the guest: what is too long for it is left out, and the guest told so.
    pub fn for_guest(&self, mut bytes: Vec<u8>, transport: Transport) -> Vec<u8> {
        let Ok(metadata) = Header::read(&mut BinDecoder::new(&bytes)).map(|header| header.metadata) else {
            return self.refuse(ResponseCode::ServFail);
        };
        if bytes.len() > usize::from(self.most_bytes(transport)) {
            let mut message = self.response(metadata.response_code);
            message.metadata.truncation = true;
            return encode(&message);
        }
        bytes[..2].copy_from_slice(&self.metadata.id.to_be_bytes());
        bytes
    }
}

/// What we say by EDNS to who says something by it. Of its options none is for us, or passed on: they are of one hop.
fn our_edns(theirs: &Edns) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(MAX_UDP_BYTES).set_dnssec_ok(theirs.flags().dnssec_ok);
    edns
}

/// To who asked something that cannot be repeated.
fn refusal(asked: &Metadata, code: ResponseCode) -> NoQuestion {
    let mut message = Message::response(asked.id, asked.op_code);
    message.metadata = Metadata::response_from_request(asked);
    message.metadata.response_code = code;
    Some(encode(&message))
}

fn encode(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(usize::from(MIN_UDP_BYTES));
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(MIN_UDP_BYTES);
    if let Err(error) = message.emit(&mut encoder) {
        // Names and records of ours that were made or read before can be written.
        log::error!("cannot write a DNS message: {error}");
        bytes.clear();
    }
    bytes
}
