//! What AWS alone knows. The role of the machine may not ask for it: that takes an operator.

use super::{Facts, Finding, Judged, known};

/// The security group admits groups only, and nobody from outside.
pub(super) fn security_group(facts: &Facts) -> Judged {
    let stack = stack(facts)?;
    Ok(elsewhere(
        "the role of this machine may not look at security groups",
        format!(
            "qmoor plan   where you are an operator, shows what other hands have changed in the stack `{stack}`; `aws ec2 describe-security-group-rules` shows the rules: only ReferencedGroupInfo on 6333 and 6334, no CidrIpv4"
        ),
    ))
}

/// The role of the machine may do what this node needs, and nothing else.
pub(super) fn node_role(facts: &Facts) -> Judged {
    let stack = stack(facts)?;
    Ok(elsewhere(
        "the role of this machine may not look at itself",
        format!(
            "qmoor plan   where you are an operator, shows what other hands have changed in the stack `{stack}`; docs/security.md lists what the role may"
        ),
    ))
}

fn stack(facts: &Facts) -> Result<&str, String> {
    let config = known(&facts.config)?;
    let aws =
        config.aws.as_ref().ok_or("the node is not on AWS: there is no `[aws]` in its file")?;
    Ok(&aws.stack)
}

/// Not to be seen from here, and how it is seen.
fn elsewhere(why: &str, how: String) -> Finding {
    Finding { fix: Some(how), ..Finding::not_applicable(why) }
}
