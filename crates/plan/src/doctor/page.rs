//! The page about the checks, made from their list.

use super::{At, checks};

const ABOVE: &str = "\
# `qmoor doctor`

Looks at a node on this host, or at any Qdrant from outside, and says of each thing that has to be right whether it is: what
was seen, and the command or the setting that mends it. It changes nothing, unless it is told to and agreed with.

```sh
qmoor doctor --list
qmoor doctor || test $? = 4
qmoor doctor --only refuses-without-key --only backup-age
qmoor --json doctor --only secrets-modes
```

Each line has a verdict:

| verdict | meaning | exit code, if it is the worst |
|---|---|---|
| `pass` | as it should be | 0 |
| `not_applicable` | it cannot be told here, or there is nothing to tell; the reason is said | 0 |
| `warn` | it works, and will hurt one day | 4 |
| `fail` | not as it must be | 1 |

A node as `qmoor init` writes it, with everything on the disk of the system, ends with 4: it works, and data and backups
would be lost together. What is fine for you is left out by naming the others: `--only`.

It runs as anybody; what it may not look at it says. As root, or as the user that the node runs as, it sees all. It asks the
agent over its socket, and tries the door with keys that the agent makes for an hour. What it tries writes nothing: the
deletion with the key for searching names no point, and a collection that is not there.

With `--json` there is one document: `{\"checks\":[{\"id\":…,\"verdict\":…,\"seen\":…,\"fix\":…}]}`, `fix` null where there is
nothing to mend. Ids are never changed.

`qmoor remote doctor` runs it on the node on AWS.

## Mending

`qmoor doctor --fix` takes the permissions away that `secrets-modes` complains about, as `chmod go-rwx` would, and nothing
else: it shows the files first and asks. `--yes` does it without asking. All else is done by hand, with the command that the
line ends with.

## Any Qdrant, from outside

`--url` looks at a server that qmoor did not set up: a container on a laptop, a cluster, another node's gateway. `--key` says
where a key for it is, `--search-key` where the one is that readers have; `env:NAME` or `file:PATH`, never the key itself.
Without keys it sees as much as a stranger does.

```sh
qmoor doctor --url http://127.0.0.1:6333 --only refuses-without-key
qmoor keys rotate search | sed -n 1p > search.key
qmoor doctor --url http://127.0.0.1:6333 --search-key file:search.key --only search-key-cannot-write
```

With `https://`, a key is sent only over a connection whose certificate is trusted: by the system, or by `--tls-ca FILE`.

## The checks

In the column `at`, `node` is this host, `url` a server from outside.
";

/// The page `docs/doctor.md`.
#[must_use]
pub fn page() -> String {
    let mut text = format!(
        "{ABOVE}\n| check | at | passes when | sees all only as root or as the node's user |\n|---|---|---|---|\n"
    );
    for check in checks() {
        let at = match check.at {
            At::Node => "node",
            At::Url => "url",
            At::Both => "node, url",
        };
        let root = if check.needs_root { "yes" } else { "" };
        text.push_str(&format!("| `{}` | {at} | {} | {root} |\n", check.id, check.about));
    }
    text
}
