//! Texts of a fixed form: identifiers and names as AWS writes them.

/// What a text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `PREFIX-` and 8 or 17 hexadecimal digits, as EC2 names what it makes.
    Id(&'static str),
    /// A region, such as `eu-central-1`.
    Region,
    /// An availability zone, such as `eu-central-1a`.
    Zone,
    /// A CloudFormation stack: a letter, then letters, digits and `-`; at most 128.
    Stack,
    /// An instance type, such as `c8g.2xlarge`.
    InstanceType,
    /// An IPv4 address.
    Ipv4,
    /// The ARN of a KMS key.
    KmsKey,
    /// An `https://` or `s3://BUCKET/KEY` address of a file.
    Download,
    /// A SHA-256 in hexadecimal digits.
    Sha256,
    /// An email address.
    Email,
    /// An `http://` or `https://` address without a user in it.
    Webhook,
}

impl Form {
    /// Whether `text` has this form. None of them admits quotes, blanks, `$` or `\`, so that such a text means itself
    /// in a shell, in JSON and in a template.
    #[must_use]
    pub fn admits(self, text: &str) -> bool {
        match self {
            Self::Id(prefix) => id(text, prefix),
            Self::Region => region(text),
            Self::Zone => {
                text.len() > 1
                    && text.ends_with(|c: char| c.is_ascii_lowercase())
                    && region(text.trim_end_matches(|c: char| c.is_ascii_lowercase()))
            }
            Self::Stack => {
                (1..=128).contains(&text.len())
                    && text.starts_with(|c: char| c.is_ascii_alphabetic())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            }
            Self::InstanceType => text.split_once('.').is_some_and(|(family, size)| {
                word(family, b"-") && family.len() > 1 && word(size, b"-") && text.len() <= 40
            }),
            Self::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
            Self::KmsKey => kms_key(text),
            Self::Download => download(text),
            Self::Sha256 => text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()),
            Self::Email => email(text),
            Self::Webhook => crate::notify::Webhook::parse(text).is_ok(),
        }
    }

    /// A text of this form.
    #[must_use]
    pub fn example(self) -> String {
        match self {
            Self::Id(prefix) => format!("{prefix}-0123456789abcdef0"),
            Self::Region => "eu-central-1".to_owned(),
            Self::Zone => "eu-central-1a".to_owned(),
            Self::Stack => "qmoor-docs".to_owned(),
            Self::InstanceType => "c8g.2xlarge".to_owned(),
            Self::Ipv4 => "10.0.2.15".to_owned(),
            Self::KmsKey => {
                "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
                    .to_owned()
            }
            Self::Download => "https://example.com/qmoor".to_owned(),
            Self::Sha256 => "0123456789abcdef".repeat(4),
            Self::Email => "oncall@example.com".to_owned(),
            Self::Webhook => "https://hooks.example.com/qmoor".to_owned(),
        }
    }

    /// What it is, in words.
    pub(super) fn name(self) -> String {
        match self {
            Self::Id(prefix) => format!("`{prefix}-…` id"),
            Self::Region => "region".to_owned(),
            Self::Zone => "availability zone".to_owned(),
            Self::Stack => "stack name".to_owned(),
            Self::InstanceType => "instance type".to_owned(),
            Self::Ipv4 => "IPv4 address".to_owned(),
            Self::KmsKey => "ARN of a KMS key".to_owned(),
            Self::Download => "`https://` or `s3://` address".to_owned(),
            Self::Sha256 => "SHA-256".to_owned(),
            Self::Email => "email address".to_owned(),
            Self::Webhook => "`https://` or `http://` address".to_owned(),
        }
    }
}

fn id(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).is_some_and(|digits| {
        matches!(digits.len(), 8 | 17)
            && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// Lower-case words and a number, such as `eu-central-1` or `us-gov-west-1`.
fn region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number = parts.next().unwrap_or("");
    let words: Vec<&str> = parts.collect();
    (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && (2..=4).contains(&words.len())
        && words.iter().all(|part| {
            (2..=12).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_lowercase())
        })
}

/// `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`: an alias would not do, because a policy must name the key itself.
fn kms_key(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let [arn, partition, service, place, account, key] = parts.as_slice() else { return false };
    *arn == "arn"
        && partition.starts_with("aws")
        && word(partition, b"-")
        && *service == "kms"
        && region(place)
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && key.strip_prefix("key/").is_some_and(|id| id.len() >= 36 && word(id, b"-"))
}

fn download(text: &str) -> bool {
    let of_url = |b: u8| b.is_ascii_alphanumeric() || b"._~/-+=%:@,".contains(&b);
    let of_key = |b: u8| b.is_ascii_alphanumeric() || b"._/-".contains(&b);
    let (host, path) = match (text.strip_prefix("https://"), text.strip_prefix("s3://")) {
        (Some(rest), _) => rest.split_once('/').unwrap_or((rest, "")),
        // A bucket with a dot has no certificate that fits its address.
        (None, Some(rest)) => match rest.split_once('/') {
            // Other letters of a key would be encoded, and signed, by each program in its own way.
            Some((bucket, key)) if word(bucket, b"-") && key.bytes().all(of_key) => (bucket, key),
            Some(_) | None => return false,
        },
        (None, None) => return false,
    };
    text.len() <= 1024
        && !host.is_empty()
        && !path.is_empty()
        && !host.starts_with('-')
        && text.bytes().all(of_url)
}

fn email(text: &str) -> bool {
    let of_local = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    text.split_once('@').is_some_and(|(local, host)| {
        !local.is_empty()
            && local.bytes().all(of_local)
            && host.contains('.')
            && host
                .split('.')
                .all(|part| !part.is_empty() && word(&part.to_ascii_lowercase(), b"-"))
    }) && text.len() <= 254
}

/// Lower-case letters, digits and what is in `also`; not empty.
fn word(text: &str, also: &[u8]) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || also.contains(&b))
}
