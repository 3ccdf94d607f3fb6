//! Which backups stay.

use qmoor_agent::catalogue;
use qmoor_agent::drill::drill;
use qmoor_agent::prune::prune;

use crate::bench::{Bench, client, fill};

#[tokio::test(flavor = "multi_thread")]
async fn pruning_keeps_what_a_rule_or_a_pin_keeps_and_the_rest_still_restores() {
    let bench = Bench::with(|config| {
        let rules = &mut config.retention;
        (rules.last, rules.hourly, rules.daily) = (1, 0, 0);
        (rules.weekly, rules.monthly, rules.min_verified) = (0, 0, 1);
    })
    .await;
    let one = bench.backup().await.unwrap();
    let as_of_one = bench.points("docs").await;
    catalogue::pin(&bench.node, &one.id).await.unwrap();
    fill(&client(&bench.endpoint()), "docs", 500..600).await;
    let two = bench.backup().await.unwrap();
    fill(&client(&bench.endpoint()), "docs", 600..700).await;
    let three = bench.backup().await.unwrap();
    assert_eq!(three.pruned, std::slice::from_ref(&two.id));
    let ids: Vec<String> =
        catalogue::list(&bench.node).await.unwrap().into_iter().map(|backup| backup.id).collect();
    assert_eq!(ids, [one.id.clone(), three.id.clone()]);
    assert!(catalogue::pin(&bench.node, &two.id).await.is_err());
    assert!(drill(&bench.node, Some(&three.id), &|_| {}).await.unwrap().ok);

    catalogue::unpin(&bench.node, &one.id).await.unwrap();
    let look = prune(&bench.node, true).await.unwrap();
    assert_eq!(look.removed, Vec::<String>::new());
    assert!(look.decisions.iter().any(|decision| decision.id == one.id && !decision.keep));
    catalogue::pin(&bench.node, &one.id).await.unwrap();
    bench.restore(Some(&one.id)).await.unwrap();
    assert_eq!(bench.points("docs").await, as_of_one);
}
