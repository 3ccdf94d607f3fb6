//! The payload of a point, as those who will read it expect it to be laid out.

use arrow_array::RecordBatch;
use serde_json::{Map, Value, json};

use super::cells::Cells;
use super::columns::{Fault, Texts, column, unusable};
use super::keys::Key;
use super::wire::{self, Scalar};
use super::{Layout, TableSchema};
use crate::ensure::{CHUNK_KEY, DOC_KEY, GENERATION_KEY, HASH_KEY};
use crate::error::Error;

/// What qmoor keeps in every layout.
const OWN: [&str; 4] = [DOC_KEY, CHUNK_KEY, HASH_KEY, GENERATION_KEY];
/// What LangChain's reader puts among the metadata itself.
const LANGCHAIN: [&str; 2] = ["_id", "_collection_name"];
/// What LlamaIndex keeps besides the metadata.
const LLAMAINDEX: [&str; 5] =
    ["_node_content", "_node_type", "document_id", "doc_id", "ref_doc_id"];
/// What LlamaIndex writes for a node without a document.
const NO_DOCUMENT: &str = "None";

/// The columns that become payload.
#[derive(Debug)]
pub(super) struct Body {
    layout: Layout,
    /// The column of text, for the layouts that have a place for it.
    text: Option<(String, Texts)>,
    columns: Vec<(String, Cells)>,
}

impl Body {
    pub(super) fn new(schema: &TableSchema, batch: &RecordBatch) -> Result<Self, Error> {
        let layout = schema.layout;
        let text = match &schema.text {
            Some(name) if layout != Layout::Flat => {
                let texts = Texts::new(column(batch, name)?.1);
                Some((name.clone(), texts.map_err(|why| unusable(name, why))?))
            }
            _ => None,
        };
        if let (Layout::LlamaIndex, Some(id)) = (layout, &schema.id)
            && column(batch, id)?.1.data_type().is_integer()
        {
            let why = "LlamaIndex's node ids are UUIDs: give those, or leave `id` out, so that \
                       ids are made from document and chunk";
            return Err(unusable(id, why));
        }
        let columns = names(schema, batch).into_iter().map(|name| {
            check_name(layout, &name)?;
            let cells = Cells::new(column(batch, &name)?.1);
            let cells = cells.map_err(|why| {
                unusable(&name, format!("{why}; `payload` names the columns to keep"))
            })?;
            Ok((name, cells))
        });
        let columns = columns.collect::<Result<_, Error>>()?;
        Ok(Self { layout, text, columns })
    }

    /// Writes the payload of a row.
    pub(super) fn put(
        &self,
        row: usize,
        key: &Key<'_>,
        generation: Option<u64>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let integer = |number: u64| Scalar::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let own = [
            (DOC_KEY, key.doc.map(Scalar::Text)),
            (CHUNK_KEY, key.chunk.map(integer)),
            (HASH_KEY, key.hash.map(Scalar::Text)),
            (GENERATION_KEY, generation.map(integer)),
        ];
        for (name, value) in own {
            if let Some(value) = value {
                wire::scalar_entry(out, wire::PAYLOAD, name, value);
            }
        }
        let text = match &self.text {
            Some((name, texts)) => texts.get(row).ok_or_else(|| Fault::null(name))?,
            None => "",
        };
        match self.layout {
            Layout::Flat => self.put_columns(row, wire::PAYLOAD, out),
            Layout::LangChain => {
                wire::scalar_entry(out, wire::PAYLOAD, "page_content", Scalar::Text(text));
                let entry = wire::open(out, wire::PAYLOAD);
                wire::bytes(out, wire::MAP_KEY, b"metadata");
                let value = wire::open(out, wire::MAP_VALUE);
                let object = wire::open(out, wire::STRUCT);
                self.put_columns(row, wire::ENTRY, out);
                wire::close(out, object);
                wire::close(out, value);
                wire::close(out, entry);
            }
            Layout::LlamaIndex => {
                self.put_columns(row, wire::PAYLOAD, out);
                let node = self.node(row, key, text).to_string();
                let document = key.doc.unwrap_or(NO_DOCUMENT);
                for (name, text) in [
                    ("_node_content", node.as_str()),
                    ("_node_type", "TextNode"),
                    ("document_id", document),
                    ("doc_id", document),
                    ("ref_doc_id", document),
                ] {
                    wire::scalar_entry(out, wire::PAYLOAD, name, Scalar::Text(text));
                }
            }
        }
        Ok(())
    }

    fn put_columns(&self, row: usize, field: u32, out: &mut Vec<u8>) {
        for (name, cells) in &self.columns {
            cells.put_entry(out, field, name, row);
        }
    }

    /// A node as LlamaIndex reads it, which takes the metadata from here and filters by that beside
    /// it.
    fn node(&self, row: usize, key: &Key<'_>, text: &str) -> Value {
        let cells = self.columns.iter();
        let metadata: Map<_, _> =
            cells.map(|(name, cells)| (name.clone(), cells.json(row))).collect();
        let source = |doc: &str| json!({"1": {"node_id": doc, "class_name": "RelatedNodeInfo"}});
        json!({
            "id_": key.id.to_string(),
            "metadata": metadata,
            "relationships": key.doc.map_or_else(|| json!({}), source),
            "text": text,
            "class_name": "TextNode",
        })
    }
}

/// The columns to keep.
fn names(schema: &TableSchema, batch: &RecordBatch) -> Vec<String> {
    if let Some(names) = &schema.payload {
        return names.clone();
    }
    let mut taken = schema.taken();
    if schema.layout == Layout::LangChain
        && let Some(doc) = &schema.doc
    {
        // Its reader sees the metadata only, and an answer must say where it is from.
        taken.remove(doc.as_str());
    }
    let names = batch.schema_ref().fields().iter().map(|field| field.name().clone());
    names.filter(|name| !taken.contains(name.as_str())).collect()
}

fn check_name(layout: Layout, name: &str) -> Result<(), Error> {
    let (whose, is_taken) = match layout {
        Layout::Flat => ("qmoor", OWN.contains(&name)),
        Layout::LangChain => ("LangChain's reader", LANGCHAIN.contains(&name)),
        Layout::LlamaIndex if OWN.contains(&name) => ("qmoor", true),
        Layout::LlamaIndex => ("the layout `llamaindex`", LLAMAINDEX.contains(&name)),
    };
    if !is_taken {
        return Ok(());
    }
    let mend = "rename the column, or leave it out of `payload`";
    Err(unusable(name, format!("{whose} sets what is called so: {mend}")))
}
