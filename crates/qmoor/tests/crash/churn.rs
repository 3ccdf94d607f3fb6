//! Collections made and removed, and an alias moved, while the engine is killed.

use std::collections::BTreeSet;

use qdrant_client::Qdrant;
use qdrant_client::qdrant::{
    CreateAliasBuilder, CreateCollectionBuilder, Distance, VectorParamsBuilder,
};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::Round;
use crate::writers::COLLECTION;

const ALIAS: &str = "churned";

/// Which collections must be there, and the one that may be.
#[derive(Debug, Default)]
pub(crate) struct Churn {
    certain: BTreeSet<String>,
    pending: Option<String>,
    /// The collection that the alias must lead to, and the one that it may.
    alias: Option<String>,
    pending_alias: Option<String>,
}

impl Churn {
    /// Makes and removes until the engine is killed.
    pub(crate) async fn run(&mut self, client: &Qdrant, round: &Round, mut random: StdRng) {
        loop {
            let done = match random.random_range(0..4) {
                0 => self.remove(client).await,
                1 => self.point_alias(client).await,
                _ if self.certain.len() < 6 => self.make(client, round.next_version()).await,
                _ => self.remove(client).await,
            };
            if let Err(error) = done {
                return round.may_fail(&error);
            }
        }
    }

    async fn make(
        &mut self,
        client: &Qdrant,
        number: u64,
    ) -> Result<(), qdrant_client::QdrantError> {
        let name = format!("churn-{number}");
        self.pending = Some(name.clone());
        let create = CreateCollectionBuilder::new(&name)
            .vectors_config(VectorParamsBuilder::new(2, Distance::Dot));
        client.create_collection(create).await?;
        self.pending = None;
        self.certain.insert(name);
        Ok(())
    }

    async fn remove(&mut self, client: &Qdrant) -> Result<(), qdrant_client::QdrantError> {
        // Never the alias's own, whose removal would take the alias with it.
        let Some(name) =
            self.certain.iter().find(|name| self.alias.as_ref() != Some(*name)).cloned()
        else {
            return Ok(());
        };
        self.certain.remove(&name);
        self.pending = Some(name.clone());
        client.delete_collection(name).await?;
        self.pending = None;
        Ok(())
    }

    async fn point_alias(&mut self, client: &Qdrant) -> Result<(), qdrant_client::QdrantError> {
        let Some(name) = self.certain.last().cloned() else { return Ok(()) };
        self.pending_alias = Some(name.clone());
        client.create_alias(CreateAliasBuilder::new(&name, ALIAS)).await?;
        self.pending_alias = None;
        self.alias = Some(name);
        Ok(())
    }

    /// Compares with what is found after a restart, and goes on from there.
    pub(crate) async fn settle(&mut self, client: &Qdrant) {
        let collections = client.list_collections().await.unwrap().collections;
        let mut found: BTreeSet<_> = collections.into_iter().map(|each| each.name).collect();
        assert!(found.remove(COLLECTION));
        let pending = self.pending.take();
        for name in &self.certain {
            assert!(found.contains(name), "collection {name} was acknowledged and is gone");
        }
        for name in &found {
            let expected = self.certain.contains(name) || pending.as_ref() == Some(name);
            assert!(expected, "collection {name} was removed and is back");
            client.collection_info(name.clone()).await.expect("a whole collection");
        }
        self.certain = found;

        let aliases = client.list_aliases().await.unwrap().aliases;
        let alias = aliases.first().map(|alias| alias.collection_name.clone());
        let pending = self.pending_alias.take();
        assert!(
            alias == self.alias || (alias.is_some() && alias == pending),
            "the alias leads to {alias:?}, and must to {:?} or {pending:?}",
            self.alias
        );
        self.alias = alias;
    }
}
