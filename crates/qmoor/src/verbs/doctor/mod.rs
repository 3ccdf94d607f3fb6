//! `qmoor doctor`: looks at a node, and says of each thing that has to be right whether it is.
//!
//! What is seen is gathered here; what to think of it is `qmoor_plan::doctor`'s.

mod door;
mod host;
mod http;
mod leaks;
mod mend;
mod modes;
mod node;
mod processes;
mod show;
mod tls;
mod url;

use jiff::Timestamp;
use qmoor_plan::doctor::{At, Check, Facts, Finding, Verdict, checks, worst};
use serde_json::json;

use crate::cli::{Doctor, Global};
use crate::error::CliError;
use crate::output::Output;

/// Lists the checks, or runs them.
pub(crate) async fn run(global: &Global, args: Doctor, out: Output) -> Result<(), CliError> {
    if args.list {
        let listed: Vec<_> = checks().iter().map(show::listed).collect();
        return out.result(&json!({ "checks": listed }), show::list());
    }
    let chosen = chosen(&args)?;
    if args.url.is_none() && global.node.is_some() {
        return Err(CliError::usage("doctor looks at the host that it runs on, and --node names another").hint(
            "`qmoor remote doctor` runs it on the node on AWS, `qmoor doctor --url URL` looks from outside",
        ));
    }
    let mut facts = look(global, &args).await?;
    if args.fix && mend::permissions(&facts, &args, out)? {
        facts = look(global, &args).await?;
    }
    let findings: Vec<Finding> = chosen.iter().map(|check| check.run(&facts)).collect();
    out.result(&json!({ "checks": findings }), show::report(&findings))?;
    verdict(&findings)
}

async fn look(global: &Global, args: &Doctor) -> Result<Facts, CliError> {
    let now = Timestamp::now();
    match &args.url {
        Some(url) => url::facts(url, args, now).await,
        None => Ok(node::facts(global, now).await),
    }
}

/// The checks that were named, or all that can be asked about what is looked at.
fn chosen(args: &Doctor) -> Result<Vec<&'static Check>, CliError> {
    let unknown = args.only.iter().find(|id| !checks().iter().any(|check| check.id == **id));
    if let Some(unknown) = unknown {
        let known: Vec<&str> = checks().iter().map(|check| check.id).collect();
        return Err(CliError::usage(format!("there is no check `{unknown}`"))
            .hint(format!("the checks are {}", known.join(", "))));
    }
    let here = if args.url.is_some() { At::Url } else { At::Node };
    let wanted = |check: &&Check| match args.only.is_empty() {
        true => check.at == here || check.at == At::Both,
        false => args.only.iter().any(|id| check.id == *id),
    };
    Ok(checks().iter().filter(wanted).collect())
}

/// The exit code says the worst.
fn verdict(findings: &[Finding]) -> Result<(), CliError> {
    let worst = worst(findings);
    let ids: Vec<&str> =
        findings.iter().filter(|one| one.verdict == worst).map(|one| one.id).collect();
    let said = |what: &str| {
        format!("{} of {} checks {what}: {}", ids.len(), findings.len(), ids.join(", "))
    };
    match worst {
        Verdict::Pass | Verdict::NotApplicable => Ok(()),
        Verdict::Warn => Err(CliError::warned(said("warned"))),
        Verdict::Fail => Err(CliError::failed(said("failed"))),
    }
}
