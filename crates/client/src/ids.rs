//! Point ids made from what a chunk is, so that indexing again meets the same points.
//!
//! Qdrant takes only integers and UUIDs; the readable name stays in the payload.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The namespace used unless another is given.
pub const DEFAULT_NAMESPACE: Uuid = Uuid::from_u128(0x3d0c_7a52_91ee_8b46_a7d1_5e60_c2f8_4b19);

/// The namespace of `langchain_core.indexing`.
const LANGCHAIN: Uuid = Uuid::from_u128(1984);

/// The namespace of Haystack's Qdrant document store.
const HAYSTACK: Uuid = Uuid::from_u128(0x3896_d314_1e95_4a3a_b45a_945f_9f0b_541d);

/// The id of chunk number `chunk` of document `doc`: a UUID version 8 (RFC 9562) from the SHA-256
/// of namespace, length of `doc`, `doc`, and chunk number. The length keeps `("a", 11)` and
/// `("a1", 1)` apart.
#[must_use]
pub fn point_id(namespace: &Uuid, doc: &str, chunk: u64) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(namespace.as_bytes());
    hash.update(u64::try_from(doc.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(doc.as_bytes());
    hash.update(chunk.to_be_bytes());
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    Uuid::new_v8(bytes)
}

/// The id LangChain's `index()` gives a document under its default key encoder (`sha1`).
///
/// `metadata_json` is the metadata as Python's `json.dumps(metadata, sort_keys=True)` writes it;
/// `{}` if there is none.
#[must_use]
pub fn langchain(page_content: &str, metadata_json: &str) -> Uuid {
    let one = |text: &str| version_5(&LANGCHAIN, &hex(&Sha1::digest(text.as_bytes())));
    one(&format!("{}{}", one(page_content), one(metadata_json)))
}

/// The id Haystack's Qdrant document store gives the document with this id.
#[must_use]
pub fn haystack(document_id: &str) -> Uuid {
    version_5(&HAYSTACK, document_id)
}

/// A name-based UUID version 5: SHA-1 of namespace and name.
fn version_5(namespace: &Uuid, name: &str) -> Uuid {
    // SHA-1 only because the ids of others are made with it; it protects nothing here.
    let hash = Sha1::new().chain_update(namespace.as_bytes()).chain_update(name.as_bytes());
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    uuid::Builder::from_sha1_bytes(bytes).into_uuid()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The expected values of this module were made with Python's hashlib and uuid.

    #[test]
    fn ids_are_what_they_always_were() {
        for (namespace, doc, chunk, expected) in [
            (DEFAULT_NAMESPACE, "doc123", 0, "6cfbbe4b-5bc9-811f-b3c9-d20873c7a1dc"),
            (DEFAULT_NAMESPACE, "", u64::MAX, "7ae98e9e-c4b4-8e87-9cda-f0e5ed26f82f"),
            (Uuid::nil(), "ä.md", 7, "96eb4419-58df-8658-852c-bec04317be55"),
        ] {
            assert_eq!(point_id(&namespace, doc, chunk).to_string(), expected);
        }
    }

    #[test]
    fn langchain_ids_are_langchains() {
        for (content, metadata, expected) in [
            ("hello", "{}", "09a546ba-a2a7-59de-8849-c773575d78e3"),
            ("Grüße", r#"{"n": 1, "source": "a"}"#, "d9006aed-a91c-5b3c-b69f-94902d30410e"),
        ] {
            assert_eq!(langchain(content, metadata).to_string(), expected);
        }
    }

    #[test]
    fn haystack_ids_are_haystacks() {
        assert_eq!(haystack("doc-1").to_string(), "ce5e50af-6c85-5d8c-8387-263f4f6f4b9f");
        assert_eq!(haystack("").to_string(), "732612b9-0988-5a8f-92e8-a4309c8fb125");
    }

    #[test]
    fn neighbouring_names_do_not_collide() {
        let ids: std::collections::BTreeSet<_> = [("a", 11), ("a1", 1), ("a11", 0), ("", 0)]
            .iter()
            .map(|(doc, chunk)| point_id(&DEFAULT_NAMESPACE, doc, *chunk))
            .collect();
        assert_eq!(ids.len(), 4);
    }

    proptest! {
        #[test]
        fn an_id_is_a_version_8_uuid_and_tells_chunks_apart(
            docs in prop::collection::btree_set((".{0,8}", 0_u64..100), 1..50),
        ) {
            let ids: std::collections::BTreeSet<_> = docs
                .iter()
                .map(|(doc, chunk)| point_id(&DEFAULT_NAMESPACE, doc, *chunk))
                .collect();
            prop_assert_eq!(ids.len(), docs.len());
            for id in ids {
                prop_assert_eq!(id.get_version_num(), 8);
                prop_assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
            }
        }
    }
}
