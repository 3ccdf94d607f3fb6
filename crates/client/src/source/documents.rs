//! Texts that are whole documents: those held in memory, and what a text file becomes.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Map;

use super::chunk::Chunker;
use super::{Document, Item, Place, Record};

/// Texts held in memory.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) total: u64,
    pub(super) bytes: u64,
    pub(super) bytes_read: u64,
    documents: VecDeque<Document>,
    chunker: Chunker,
    pending: VecDeque<Item>,
}

impl Documents {
    pub(super) fn new(documents: Vec<Document>, chunker: Chunker) -> Self {
        let documents: VecDeque<_> = documents.into();
        Self {
            total: documents.iter().map(|_| 1).sum(),
            bytes: documents.iter().map(|document| length(&document.text)).sum(),
            bytes_read: 0,
            documents,
            chunker,
            pending: VecDeque::new(),
        }
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        if self.pending.is_empty() {
            let document = self.documents.pop_front()?;
            self.bytes_read += length(&document.text);
            let place = Place { file: Arc::from(document.id.as_str()), row: None };
            self.pending = items(&self.chunker, &document.id, &document.text, &place);
        }
        self.pending.pop_front()
    }
}

/// A text as its chunks, or as an empty document.
pub(super) fn items(chunker: &Chunker, doc: &str, text: &str, place: &Place) -> VecDeque<Item> {
    let mut items: VecDeque<_> = chunker
        .split(doc, text)
        .into_iter()
        .zip(0_u64..)
        .map(|(text, chunk)| {
            Item::Record(Record {
                doc: doc.to_owned(),
                chunk,
                text: Some(text),
                vector: None,
                payload: Map::new(),
                place: place.clone(),
            })
        })
        .collect();
    if items.is_empty() {
        items.push_back(Item::EmptyDocument { doc: doc.to_owned() });
    }
    items
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}
