//! The name of an engine's image, which must say its version.

use std::fmt;

/// A version as Qdrant counts them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// No number of these may be skipped.
    pub major: u32,
    /// Nor of these: the storage is brought forward one minor version at a time.
    pub minor: u32,
    /// These are free to go up.
    pub patch: u32,
}

impl Version {
    /// Reads `1.19.0`, with or without a `v` before it, and with or without a suffix such as
    /// `-unprivileged` behind it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (numbers, _suffix) = text.split_once('-').unwrap_or((text, ""));
        let mut parts = numbers.split('.').map(|part| {
            // `parse` takes a plus sign, which is no part of a version.
            let plain = part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse::<u32>().ok().filter(|_| plain)
        });
        let version = Self { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? };
        parts.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no version like 1.19.0"))
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

/// An image: `repository:vX.Y.Z`, and after an `@` its digest if one is wanted.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Image {
    /// Everything before the tag.
    pub repository: String,
    /// What comes after the colon.
    pub tag: String,
    /// `sha256:…`, if the name has one.
    pub digest: Option<String>,
    /// The version that the tag says.
    pub version: Version,
}

/// Why a text is not the name of an image that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageError {
    /// There is no tag, or it is `latest`: another image each time.
    NotPinned,
    /// The tag does not begin with a version.
    NoVersion,
    /// The digest is not `sha256:` and 64 hexadecimal digits.
    BadDigest,
    /// The repository has letters that no repository has.
    BadRepository,
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotPinned => {
                "must name a version, like qdrant/qdrant:v1.19.0: `latest` is another engine each time"
            }
            Self::NoVersion => "must have a tag that begins with a version, like v1.19.0",
            Self::BadDigest => "must have a digest of `sha256:` and 64 hexadecimal digits",
            Self::BadRepository => "is not the name of an image",
        })
    }
}

impl std::error::Error for ImageError {}

impl Image {
    /// Reads the name of an image.
    ///
    /// # Errors
    /// When it does not say which version it is.
    pub fn parse(text: &str) -> Result<Self, ImageError> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is that of a port.
        let tag_at =
            name.rfind(':').filter(|colon| name.rfind('/').is_none_or(|slash| slash < *colon));
        let (repository, tag) = match tag_at.and_then(|at| name.split_at_checked(at)) {
            Some((repository, tag)) => (repository, tag.trim_start_matches(':')),
            None => return Err(ImageError::NotPinned),
        };
        if tag == "latest" || tag.is_empty() {
            return Err(ImageError::NotPinned);
        }
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = repository.bytes().all(|byte| letters(byte) || b"./:_-".contains(&byte));
        let tag_fits =
            tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if repository.is_empty()
            || !repository.bytes().next().is_some_and(letters)
            || !fits
            || !tag_fits
        {
            return Err(ImageError::BadRepository);
        }
        let version = Version::parse(tag).ok_or(ImageError::NoVersion)?;
        if let Some(digest) = digest {
            let hash = digest.strip_prefix("sha256:").ok_or(ImageError::BadDigest)?;
            let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if hash.len() != 64 || !hash.bytes().all(hexadecimal) {
                return Err(ImageError::BadDigest);
            }
        }
        let owned = str::to_owned;
        Ok(Self {
            repository: owned(repository),
            tag: owned(tag),
            digest: digest.map(owned),
            version,
        })
    }

    /// The repository and the tag, without the digest.
    #[must_use]
    pub fn tagged(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }

    /// The same image at another version; the digest of this one says nothing about that one.
    #[must_use]
    pub fn at(&self, tag: &str) -> Option<Self> {
        let version = Version::parse(tag)?;
        let plain = tag.starts_with('v') || !self.tag.starts_with('v');
        let tag = if plain { tag.to_owned() } else { format!("v{tag}") };
        Some(Self { tag, digest: None, version, ..self.clone() })
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_says_its_version_and_keeps_its_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, repository, version) in [
            ("qdrant/qdrant:v1.19.0", "qdrant/qdrant", (1, 19, 0)),
            ("qdrant/qdrant:v1.18.3-unprivileged", "qdrant/qdrant", (1, 18, 3)),
            ("registry.local:5000/q:1.2.3", "registry.local:5000/q", (1, 2, 3)),
        ] {
            for text in [text.to_owned(), format!("{text}@{digest}")] {
                let image = Image::parse(&text).unwrap();
                let found = (image.version.major, image.version.minor, image.version.patch);
                assert_eq!((image.repository.as_str(), found), (repository, version));
                assert_eq!(image.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_not_pinned_is_refused() {
        for text in ["qdrant/qdrant", "qdrant/qdrant:latest", "localhost:5000/q", "q:"] {
            assert_eq!(Image::parse(text), Err(ImageError::NotPinned), "{text}");
        }
        for text in ["q:dev", "q:v1", "q:v1.19", "q:v1.19.0.1", "q:v1.+9.0"] {
            let found = Image::parse(text);
            assert!(
                matches!(found, Err(ImageError::NoVersion | ImageError::BadRepository)),
                "{text}"
            );
        }
        for text in ["q:v1.19.0@sha256:12", "q:v1.19.0@md5:00"] {
            assert_eq!(Image::parse(text), Err(ImageError::BadDigest), "{text}");
        }
        for text in [":v1.19.0", "a b:v1.19.0", "-q:v1.19.0", "Q:v1.19.0"] {
            assert_eq!(Image::parse(text), Err(ImageError::BadRepository), "{text}");
        }
    }

    #[test]
    fn another_version_of_an_image_has_no_digest_yet() {
        let image = Image::parse(&format!("q/q:v1.18.3@sha256:{}", "00".repeat(32))).unwrap();
        assert_eq!(image.at("1.19.0").unwrap().to_string(), "q/q:v1.19.0");
        assert_eq!(
            image.at("v1.19.0-unprivileged").unwrap().to_string(),
            "q/q:v1.19.0-unprivileged"
        );
        assert_eq!(image.at("newest"), None);
    }
}
