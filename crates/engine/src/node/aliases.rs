//! Other names for collections.

use std::collections::BTreeMap;

use crate::error::ApiError;
use crate::model::collection::AliasAction;

/// Aliases and the collections they name.
pub(super) type Aliases = BTreeMap<String, String>;

/// The aliases after some changes, made all together.
///
/// # Errors
/// Whatever makes one of the changes impossible.
pub(super) fn changed(
    aliases: &Aliases,
    actions: Vec<AliasAction>,
    is_collection: impl Fn(&str) -> bool,
) -> Result<Aliases, ApiError> {
    let mut next = aliases.clone();
    for action in actions {
        match action {
            AliasAction::CreateAlias { collection_name, alias_name } => {
                if !is_collection(&collection_name) {
                    return Err(ApiError::no_collection(&collection_name));
                }
                check_free(&alias_name, &is_collection)?;
                next.insert(alias_name, collection_name);
            }
            AliasAction::DeleteAlias { alias_name } => {
                // Removing what is not there is no error upstream.
                next.remove(&alias_name);
            }
            AliasAction::RenameAlias { old_alias_name, new_alias_name } => {
                check_free(&new_alias_name, &is_collection)?;
                let collection = next.remove(&old_alias_name).ok_or_else(|| {
                    ApiError::NotFound(format!("Alias {old_alias_name} does not exists!"))
                })?;
                next.insert(new_alias_name, collection);
            }
        }
    }
    Ok(next)
}

fn check_free(alias: &str, is_collection: impl Fn(&str) -> bool) -> Result<(), ApiError> {
    super::check_name(alias)?;
    if is_collection(alias) {
        return Err(ApiError::Conflict(format!("Collection `{alias}` already exists!")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn create(alias: &str, collection: &str) -> AliasAction {
        AliasAction::CreateAlias { collection_name: collection.into(), alias_name: alias.into() }
    }

    fn run(aliases: &Aliases, actions: Vec<AliasAction>) -> Result<Aliases, ApiError> {
        changed(aliases, actions, |name| name == "blue" || name == "green")
    }

    #[test]
    fn an_alias_moves_from_one_collection_to_another_in_one_step() {
        let before = run(&Aliases::new(), vec![create("live", "blue")]).unwrap();
        let after = run(
            &before,
            vec![AliasAction::DeleteAlias { alias_name: "live".into() }, create("live", "green")],
        )
        .unwrap();
        assert_eq!(after.get("live").unwrap(), "green");
    }

    #[test]
    fn one_impossible_change_undoes_all() {
        assert_eq!(run(&Aliases::new(), vec![create("a", "nope")]).unwrap_err().status(), 404);
        assert_eq!(run(&Aliases::new(), vec![create("blue", "green")]).unwrap_err().status(), 409);
        let rename =
            AliasAction::RenameAlias { old_alias_name: "x".into(), new_alias_name: "y".into() };
        assert_eq!(
            run(&Aliases::new(), vec![create("a", "blue"), rename]).unwrap_err().status(),
            404
        );
    }
}
