//! Whether a form comes from the page itself, as far as a browser says so.

/// What a browser says of where a request comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sender<'a> {
    /// The address that was asked: `Host`, or the authority of HTTP/2.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub site: Option<&'a str>,
}

/// Whether nothing speaks against it: what a browser says of the origin must be this very page's. A program says nothing,
/// and has no cookie that could be used against its user. The scheme is not compared: whoever ends TLS in front of us
/// changes it.
#[must_use]
pub fn is_own_form(sender: &Sender<'_>) -> bool {
    let origin = sender.origin.is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some() && authority == sender.host
    });
    origin && sender.site.is_none_or(|site| site == "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pages_own_forms_pass() {
        for (host, origin, site, passes) in [
            (Some("node:6333"), Some("http://node:6333"), Some("same-origin"), true),
            (Some("node:6333"), Some("https://node:6333"), None, true),
            (Some("node:6333"), None, Some("same-origin"), true),
            (Some("node:6333"), None, None, true),
            (Some("node:6333"), Some("http://node:6334"), None, false),
            (Some("node:6333"), Some("http://node:6333.evil.example"), None, false),
            (Some("node:6333"), Some("http://evil.example"), Some("cross-site"), false),
            (Some("node:6333"), Some("http://node:6333"), Some("same-site"), false),
            (Some("node:6333"), None, Some("cross-site"), false),
            (Some("node:6333"), None, Some("none"), false),
            (Some("node:6333"), Some("null"), None, false),
            (Some("node:6333"), Some(""), None, false),
            (None, Some("http://node:6333"), None, false),
        ] {
            let sender = Sender { host, origin, site };
            assert_eq!(is_own_form(&sender), passes, "{sender:?}");
        }
    }
}
