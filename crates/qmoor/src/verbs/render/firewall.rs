//! nftables rules that admit clients to the node's ports and nobody else.
//!
//! A port that Docker publishes is translated before the usual input rules see it, which therefore do not hold for it.
//! These stand before the translation.

use std::fmt::Write as _;
use std::net::IpAddr;

use qmoor_plan::config::Config;

use crate::cli::Network;

/// Where Qdrant's servers talk to each other, without a key.
const CLUSTER_PORT: u16 = 6335;

/// The rules, for `nft -f`. They may be loaded again: the table is made anew each time.
pub(super) fn rules(config: &Config, allow: &[Network]) -> String {
    let (http, grpc) = (config.gateway.http_port, config.gateway.grpc_port);
    let (v4, v6): (Vec<Network>, Vec<Network>) =
        allow.iter().copied().partition(|network| network.address.is_ipv4());
    let mut text = format!(
        "# Who may reach the node {name}: load it with `nft -f`, and at boot from /etc/nftables.conf.\n\
         # It stands before the translation that Docker makes for published ports, so it holds for them too.\n\
         table inet qmoor\n\
         delete table inet qmoor\n\
         table inet qmoor {{\n\
         \tchain before_docker {{\n\
         \t\ttype filter hook prerouting priority -150; policy accept;\n\
         \t\tiifname \"lo\" accept\n",
        name = config.node.name,
    );
    for (family, networks) in [("ip", v4), ("ip6", v6)] {
        if networks.is_empty() {
            continue;
        }
        let list: Vec<String> = networks.iter().map(ToString::to_string).collect();
        // Writing to a string cannot fail.
        let _ignored = writeln!(
            text,
            "\t\ttcp dport {{ {http}, {grpc} }} {family} saddr {{ {} }} accept",
            list.join(", ")
        );
    }
    let _ignored =
        write!(text, "\t\ttcp dport {{ {http}, {grpc}, {CLUSTER_PORT} }} drop\n\t}}\n}}\n");
    text
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = match self.address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        match self.bits == whole {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.bits),
        }
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no network like 10.0.1.0/24");
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(whole), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > whole {
            return Err(wrong());
        }
        if bits == 0 {
            return Err(format!("`{text}` is everybody: leave the firewall away instead"));
        }
        Ok(Self { address, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_read_and_written_and_everybody_is_refused() {
        for text in ["10.0.1.0/24", "10.0.1.7", "fd00::/8", "::1"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        for text in ["0.0.0.0/0", "::/0", "10.0.1.0/33", "host", "10.0.1.0/", ""] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_dropped_last() {
        let config = Config::for_dir(std::path::Path::new("/n"));
        let allow = ["10.0.1.0/24".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let rules = rules(&config, &allow);
        let accept = rules.find("ip saddr { 10.0.1.0/24 } accept").unwrap();
        let accept6 = rules.find("ip6 saddr { fd00::/8 } accept").unwrap();
        let drop = rules.find("6335 } drop").unwrap();
        assert!(accept < drop && accept6 < drop, "{rules}");
    }
}
